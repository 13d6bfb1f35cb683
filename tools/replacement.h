/* SPDX-License-Identifier: MIT */
/*
 * replacement.h - a file that takes another's place: it appears complete or not at all, overwrites
 * nothing, and the original goes when all is on the disk.
 */
#ifndef TOOLS_REPLACEMENT_H
#define TOOLS_REPLACEMENT_H

#include <malloctap/reader.h>

#include <sys/stat.h>

struct replacement {
    const char *path; /* of the original */
    const char *out;
    char *temporary; /* what it is called until it is complete; NULL: it is, or there is none */
    int in, to;
    struct stat original;
    struct malloctap_error *error; /* filled in by all that return -1 */
};

/* Begin to write `out` in place of `path`. Both stay the caller's. */
void replacement_init(struct replacement *replacement, const char *path, const char *out,
                      struct malloctap_error *error);

/* Open the original, whose first four bytes are returned in *magic. Where it is to go, it must not
 * be a symbolic link. */
int replacement_open_original(struct replacement *replacement, bool keep, uint32_t *magic);
int replacement_create(struct replacement *replacement);
int replacement_write(struct replacement *replacement, const void *bytes, size_t size);

/* Let `size` bytes be zeros that take no space. */
int replacement_skip(struct replacement *replacement, size_t size);

/* Give it the original's owner, mode and times, and its `size`, and wait until it is on the disk.
 */
int replacement_finish(struct replacement *replacement, uint64_t size);

/* Give it its name. */
int replacement_name(struct replacement *replacement);
void replacement_deinit(struct replacement *replacement);

/* Write "PATH: ..." into `error`. Returns -1. */
__attribute__((format(printf, 3, 4))) int
replacement_fail(struct malloctap_error *error, const char *path, const char *format, ...);
int replacement_cannot_read(const struct replacement *replacement);

#endif
