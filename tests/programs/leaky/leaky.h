/* SPDX-License-Identifier: MIT */
/*
 * leaky.h - what the program leaky calls: two libraries that hand out memory and forget it, each in
 * its own way. Every function allocates as its name says, is never inlined, and does something
 * after the call, so that it is the innermost frame with a name of ours.
 */
#ifndef PROGRAMS_LEAKY_H
#define PROGRAMS_LEAKY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* libleaky_text: realloc chains and what else C has. */
void *text_grow(void *text, size_t size);          /* realloc */
void *text_zeroed(size_t count, size_t size);      /* calloc */
void *text_aligned(size_t alignment, size_t size); /* aligned_alloc */
void *text_copy(const char *text);                 /* strdup */
void text_release(void *text);                     /* free */

#ifdef __cplusplus
}

/* libleaky_cache: operator new through a template and a class. */
namespace cache {
struct Entry {
    char *data;
    size_t size;
};
const void *kept_line(); /* 72 bytes that the library allocated when it was loaded */

class Cache {
  public:
    Entry *remember(size_t size); /* an entry, and data behind it */
    void forget(Entry *entry);
};
} // namespace cache
#endif

#endif
