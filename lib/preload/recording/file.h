/* SPDX-License-Identifier: MIT */
/*
 * file.h - the file of a recording: its name, its creation, more of it.
 */
#ifndef PRELOAD_FILE_H
#define PRELOAD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file {
    char path[4096];      /* absolute */
    char directory[4096]; /* where the process was then, with a slash at the end */
    uint64_t device;
    uint64_t inode;
};

/*
 * Create a new file under the name that the options ask for and map *size bytes of it shared, or
 * fewer (*size says) where a limit on files' sizes demands it. The first `filled` are allocated on
 * disk; for the others file_fill() must be called before they are touched. NULL, with errno, when
 * it cannot be; `ret->path` then is the name that was tried. errno 0: none is wanted, as this is a
 * child's program and children are not to be recorded.
 */
void *file_create(struct file *ret, bool child, uint64_t filled, uint64_t *size);

/* Allocate mapped bytes on disk. False when there is no space. */
bool file_fill(void *memory, uint64_t size);

/* The memory of mapped bytes is not needed for a while; what was written there stays in the file.
 */
void file_let_go(void *memory, uint64_t size);

/* Map bytes [offset, offset + size), which lie beyond all others, shared. They are allocated on
 * disk if `filled`, or where file_fill() could not do it later. NULL, with errno, on failure. */
void *file_extend(const struct file *file, uint64_t offset, uint64_t size, bool filled);

#endif
