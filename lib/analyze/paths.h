/* SPDX-License-Identifier: MIT */
/*
 * paths.h - call paths as people read them: recorded stacks whose frames read the same are one
 * path.
 */
#ifndef ANALYZE_PATHS_H
#define ANALYZE_PATHS_H

#include "symbols.h"
#include "table.h"

#include <malloctap/reader.h>

/* When do two frames read the same? */
enum paths_by {
    /* Same function, file and line; the offset counts only where there is no name. Two calls on one
     * source line, or two loadings of one library, are no difference to the reader. */
    PATHS_BY_LINE,
    /* Same function, inlined or not, in a module of the same file name but for its version: what
     * two builds of a program have in common. */
    PATHS_BY_FUNCTION,
};

struct path {
    const struct symbol_frame **frames; /* innermost first */
    size_t count;
    size_t hidden;  /* frames further out, cut by the depth; of the first stack of this path */
    bool truncated; /* the walk stopped before the outermost frame, by itself or by limit */
};

/* Zeroed but for the first three members it is an empty set. */
struct paths {
    enum paths_by by;
    size_t depth;            /* frames to look at, inlined ones included; 0: all */
    const char *programs[2]; /* BY_FUNCTION: file names of two builds of the program, or NULL */
    struct path *items;
    size_t count;

    size_t capacity;
    struct table index_of_hash;
};

void paths_deinit(struct paths *paths);

/* All frames of a recorded stack, inlined ones included, innermost first. */
struct path_frames {
    const struct symbol_frame **items; /* kept from one stack to the next; free() it at last */
    size_t count;
    size_t capacity;
    bool truncated;
};
void path_frames_read(const struct malloctap_recording *recording, struct symbols *symbols,
                      uint32_t stack, struct path_frames *frames);

/* Index of the path of these frames, which is new where it is `count` as it was before. */
size_t paths_add(struct paths *paths, const struct path_frames *frames);

/* Part of a path's file name after its last slash. */
const char *path_basename(const char *path);

#endif
