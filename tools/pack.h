/* SPDX-License-Identifier: MIT */
/* pack.h - compress a finished recording, so that every view still reads it as it is. */
#ifndef TOOLS_PACK_H
#define TOOLS_PACK_H

#include <malloctap/reader.h>

#define PACK_SUFFIX ".zst"

enum { PACK_LEVEL_DEFAULT = 3, PACK_LEVEL_MAX = 19 };

struct pack_options {
    const char *out; /* NULL: the recording's path and PACK_SUFFIX */
    int level;       /* 1 ... PACK_LEVEL_MAX */
    bool keep;       /* do not remove what is replaced */
};

struct pack_result {
    char *path;      /* of what was written; to be freed */
    uint64_t before; /* bytes on disk */
    uint64_t after;
};

/*
 * Write the recording compressed, read it back and compare it, and only then remove the original.
 * `out` appears complete or not at all, and nothing that exists is overwritten. Refuses a recording
 * whose process still writes it. Returns 0, or -1 with `error` set and the recording untouched.
 */
int pack_recording(const char *path, struct pack_options options, struct pack_result *ret,
                   struct malloctap_error *error);

/* Write a packed recording as it was; `out` NULL: its path without PACK_SUFFIX. */
int unpack_recording(const char *path, struct pack_options options, struct pack_result *ret,
                     struct malloctap_error *error);

#endif
