/* SPDX-License-Identifier: MIT */
/*
 * walk.h - the walkers: each fills `frames` with the calling thread's stack as depot frames,
 * innermost first, without the leading ones that lie in our own object. At most `limit` frames.
 * MALLOCTAP_STACK_... flags are added to *flags. Returns the number of frames. `frames` has
 * WALK_SPARE_FRAMES more places than `limit`, for frames of our own.
 */
#ifndef PRELOAD_STACK_WALK_H
#define PRELOAD_STACK_WALK_H

#include "capture.h"
#include "modules.h"

#include <malloctap/recording.h>

#define WALK_SPARE_FRAMES 8

struct rule_cache;

/* Where our own code is, found once by stack_walker_init(). */
struct walk_own {
    uintptr_t start, end;
};

uint32_t walk_cfi(struct stack_tables *tables, const struct walk_own *own, uint64_t *frames,
                  uint32_t limit, uint32_t *flags);

/* The same stack from `caller` on, interned, by joining the one in `memory`, which then holds this
 * one. False: it takes a full walk; nothing was interned. */
bool walk_joined(struct stack_tables *tables, struct rule_cache *rules, const struct walk_own *own,
                 const struct stack_caller *caller, struct stack_memory *memory, uint32_t limit,
                 uint32_t *flags, uint32_t *id);

/* Load libunwind and use it once. False: it is not there, or lacks what is needed. */
bool walk_libunwind_prepare(void);

uint32_t walk_libunwind(struct stack_tables *tables, const struct walk_own *own, uint64_t *frames,
                        uint32_t limit, uint32_t *flags);

/*
 * A depot frame for `pc` in `module` (NULL: in no object). Readers take a frame's address for a
 * return address and look one byte before it; so that this finds an exact pc too, it is stored plus
 * one.
 */
static inline uint64_t walk_frame(const struct module *module, uint64_t pc, bool exact)
{
    uint64_t address = pc + exact;
    if (module == NULL || module->id == 0)
        return MALLOCTAP_FRAME_OFFSET(address);
    return (uint64_t)module->id << 48 | MALLOCTAP_FRAME_OFFSET(address - module->object.bias);
}

#endif
