/* SPDX-License-Identifier: MIT */
/*
 * object.h - names and lines out of one ELF object and its debug information, wherever that lies:
 * in the object, beside it (.gnu_debuglink), under /usr/lib/debug by build-id, in a shared dwz
 * file, or at a debuginfod server when DEBUGINFOD_URLS is set. libdwfl finds it.
 */
#ifndef ANALYZE_OBJECT_H
#define ANALYZE_OBJECT_H

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

/*
 * Open the file behind a module, provided it is still the one that was loaded: same build-id or,
 * where there was none, not modified after `recorded_ns` (wall clock). Otherwise NULL, and *why is
 * a phrase that completes "FILE ...".
 */
struct object *object_open(const struct malloctap_module *module, uint64_t recorded_ns,
                           const char **why);
void object_close(struct object *object);

/* What stands at one address. Texts live as long as the object; names are as mangled. */
struct object_frame {
    const char *function; /* NULL: unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;
};

#define OBJECT_FRAMES_MAX 64

/*
 * The function at an address of the object (in its own numbering), preceded by those inlined there:
 * innermost first. Returns how many of at most OBJECT_FRAMES_MAX, at least 1.
 */
size_t object_resolve(struct object *object, uint64_t address,
                      struct object_frame frames[OBJECT_FRAMES_MAX]);

#endif
