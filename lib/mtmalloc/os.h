/* SPDX-License-Identifier: MIT */
/*
 * os.h - everything the allocator asks of the operating system, in one place, so that tests can put
 * failures here. Nothing here allocates, and nothing changes errno.
 */
#ifndef MTMALLOC_OS_H
#define MTMALLOC_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, `size` rounded up to whole pages. NULL: there is none. */
void *mt_os_map(size_t size);
void mt_os_unmap(void *memory, size_t size);

/* Sleep while *word == expected, at most `timeout_ns` (0: without limit). True only when a call of
 * mt_os_wake() ended the sleep. */
bool mt_os_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns);

/* Wake one thread that sleeps on the word. False: there was none. */
bool mt_os_wake(const uint32_t *word);

/* Make every running thread of the process execute a full memory barrier. False where the kernel
 * cannot (or a sandbox forbids it). Preparing makes the first one quick. */
void mt_os_barrier_prepare(void);
bool mt_os_barrier(void);

uint64_t mt_os_clock_ns(void);

/* Configured processors, at least 1. */
unsigned mt_os_processors(void);

size_t mt_os_page_size(void);

/* One line on stderr; with SIGABRT after it. */
void mt_os_say(const char *line, size_t length);
_Noreturn void mt_os_abort(const char *line, size_t length);

#endif
