/* SPDX-License-Identifier: MIT */
/*
 * truth.h - malloc calls that keep their own books: what a thread did, to hold against what the tap
 * counted.
 *
 * The counted_ functions call the allocator and add to the thread's own row. A call counts also
 * when it fails; bytes count only when it does not. Writing a row uses no stdio and allocates
 * nothing, so it can be done right before the process is killed.
 */
#ifndef PROGRAMS_TRUTH_H
#define PROGRAMS_TRUTH_H

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct truth {
    unsigned long malloc, calloc, realloc, aligned, free;
    unsigned long failed, bytes_requested;
};

static _Thread_local struct truth truth;

/* Not in every libc yet; the tap exports them. */
extern void free_sized(void *block, size_t size) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t alignment, size_t size) __attribute__((weak));

static inline void *truth_add(unsigned long *calls, void *block, size_t bytes)
{
    ++*calls;
    if (block != NULL)
        truth.bytes_requested += bytes;
    else
        ++truth.failed;
    return block;
}

static inline void *counted_malloc(size_t size)
{
    return truth_add(&truth.malloc, malloc(size), size);
}

static inline void *counted_calloc(size_t count, size_t size)
{
    return truth_add(&truth.calloc, calloc(count, size), count * size);
}

/* realloc(p, 0) with a block frees it: NULL is no failure then. */
static inline void *counted_realloc(void *block, size_t size)
{
    if (block == NULL || size > 0)
        return truth_add(&truth.realloc, realloc(block, size), size);
    ++truth.realloc;
    return realloc(block, 0);
}

static inline void *counted_reallocarray(void *block, size_t count, size_t size)
{
    return truth_add(&truth.realloc, reallocarray(block, count, size), count * size);
}

static inline void *counted_posix_memalign(size_t alignment, size_t size)
{
    void *block = NULL;
    int error = posix_memalign(&block, alignment, size);
    return truth_add(&truth.aligned, error == 0 ? block : NULL, size);
}

static inline void *counted_aligned_alloc(size_t alignment, size_t size)
{
    return truth_add(&truth.aligned, aligned_alloc(alignment, size), size);
}

static inline void *counted_memalign(size_t alignment, size_t size)
{
    return truth_add(&truth.aligned, memalign(alignment, size), size);
}

static inline void *counted_valloc(size_t size)
{
    return truth_add(&truth.aligned, valloc(size), size);
}

static inline void *counted_pvalloc(size_t size)
{
    return truth_add(&truth.aligned, pvalloc(size), size);
}

static inline void counted_free(void *block)
{
    ++truth.free;
    free(block);
}

static inline void counted_free_sized(void *block, size_t size)
{
    ++truth.free;
    if (free_sized != NULL)
        free_sized(block, size);
    else
        free(block);
}

static inline void counted_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    ++truth.free;
    if (free_aligned_sized != NULL)
        free_aligned_sized(block, alignment, size);
    else
        free(block);
}

/* Append this thread's row to a file: one JSON object, one write. */
static inline void truth_write(int fd)
{
    char line[512];
    int length = snprintf(line, sizeof(line),
                          "{\"pid\":%d,\"tid\":%d,\"malloc\":%lu,\"calloc\":%lu,\"realloc\":%lu,"
                          "\"aligned\":%lu,\"free\":%lu,\"failed\":%lu,\"bytes_requested\":%lu}\n",
                          (int)getpid(), (int)gettid(), truth.malloc, truth.calloc, truth.realloc,
                          truth.aligned, truth.free, truth.failed, truth.bytes_requested);
    if (write(fd, line, (size_t)length) != length)
        _exit(99);
}

/* The file that rows go to; standard output where no name is given. */
static inline int truth_open(const char *path)
{
    if (path == NULL)
        return STDOUT_FILENO;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        _exit(98);
    return fd;
}

#endif
