/* SPDX-License-Identifier: MIT */
/*
 * analyze_memory.h - memory for the analysis, which cannot go on without it: when there is none the
 * command ends with one line and status 2. Only tools link this; nothing here runs inside a tapped
 * program.
 */
#ifndef ANALYZE_MEMORY_H
#define ANALYZE_MEMORY_H

#include <stddef.h>

/* Zeroed; never NULL. */
void *memory_zeroed(size_t count, size_t size);

/* Zeroed pages for a table that is looked up at random: large pages where the system has them, or
 * most of the time would go into finding where a page is. Never NULL. */
void *memory_pages(size_t size);
void memory_pages_free(void *pages, size_t size);

/*
 * Make room for one more element at `count`. `*capacity` grows by doubling; returns the array,
 * which may have moved.
 */
void *memory_grow(void *array, size_t count, size_t *capacity, size_t size);

char *memory_copy_text(const char *text);

#endif
