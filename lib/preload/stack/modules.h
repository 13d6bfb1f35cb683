/* SPDX-License-Identifier: MIT */
/*
 * modules.h - the module id of a loaded object, describing it in the recording at first sight.
 *
 * An id stands for one content at one place. An object that was unloaded leaves its id behind; what
 * is mapped there afterwards is recognised as another by its build-id, read from memory each time a
 * walk enters the object, if it is not one that stays loaded for as long as the process lives.
 */
#ifndef PRELOAD_STACK_MODULES_H
#define PRELOAD_STACK_MODULES_H

#include "objects.h"

#include <stdint.h>

#define MODULES_SEEN 4

struct module {
    uint32_t id; /* 0: could not be described */
    struct object object;
};

/* Objects met in one walk. While they are on the walked stack they cannot be unloaded. */
struct modules_seen {
    uint32_t count; /* ever added; the newest MODULES_SEEN are kept */
    uint32_t last;  /* the one found last */
    struct module modules[MODULES_SEEN];
};

static inline void modules_seen_init(struct modules_seen *seen)
{
    seen->count = seen->last = 0;
    seen->modules[0].object.low = seen->modules[0].object.high = 0;
}

/* The module that an address lies in now. False: no object is there. */
bool modules_identify(void **index, uintptr_t address, struct module *ret);

/* Whether the module with this id, one of those identified, is what occupies this range now. */
bool modules_lies_at(void **index, uint32_t id, uintptr_t low, uintptr_t high);

/* modules_find() for an address outside of the module found last. */
const struct module *modules_find_other(void **index, struct modules_seen *seen, uintptr_t address);

/* The module of an address; NULL when no object is there. Lock-free; `index` is the process's table
 * of modules. The result is valid until the next call. */
static inline const struct module *modules_find(void **index, struct modules_seen *seen,
                                                uintptr_t address)
{
    const struct module *last = &seen->modules[seen->last];
    if (address - last->object.low < last->object.high - last->object.low)
        return last;
    return modules_find_other(index, seen, address);
}

#endif
