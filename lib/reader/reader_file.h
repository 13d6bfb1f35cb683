/* SPDX-License-Identifier: MIT */
/*
 * reader_file.h - the recording's file: bounded reads that survive whatever happens to it.
 *
 * All access is by pread() into buffers of ours, never through a mapping: a file that someone
 * truncates while we read is then a short read, where a mapping would end the reader with SIGBUS.
 * The kernel copies aligned 64-bit words whole, so a counter that its writer is just incrementing
 * is read as either its old or its new value. It promises no order among the words of one read:
 * what must be read in order takes two, with reader_file_order() between them.
 *
 * Of a recording that was packed, offsets and sizes are those it had before.
 */
#ifndef READER_FILE_H
#define READER_FILE_H

#include <malloctap/reader.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader_packed;

struct reader_file {
    int fd;
    struct reader_packed *packed; /* NULL: the file is the recording as it was written */
    char *path;
    bool failed;                    /* a read failed since the file was opened: */
    struct malloctap_error failure; /* the first such failure */
};

int reader_file_open(const char *path, struct reader_file **ret, struct malloctap_error *error);
void reader_file_close(struct reader_file *file);

/* Read exactly `size` bytes. False: the file is shorter or unreadable, and file->failure says so.
 */
bool reader_file_read(struct reader_file *file, uint64_t offset, void *buffer, size_t size);

/* The file's size now. */
bool reader_file_size(struct reader_file *file, uint64_t *ret);

/* Remember the first thing that went wrong where the caller cannot be told directly. */
__attribute__((format(printf, 2, 3))) void reader_file_fail(struct reader_file *file,
                                                            const char *format, ...);

/* Let no later read see older data than an earlier one. Pairs with the writer's release stores. */
static inline void reader_file_order(void)
{
    atomic_thread_fence(memory_order_acquire);
}

/* Write "PATH: ..." into `error`, which may be NULL. Returns -1, for the caller to return. */
__attribute__((format(printf, 3, 4))) int
reader_error_set(struct malloctap_error *error, const char *path, const char *format, ...);

#endif
