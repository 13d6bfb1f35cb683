/* SPDX-License-Identifier: MIT */
#include "leaky.h"

namespace {

template <typename T> __attribute__((noinline)) T *make(size_t count)
{
    T *items = new T[count];
    __asm__ volatile("" : "+r"(items)::"memory");
    return items;
}

} // namespace

namespace cache {

__attribute__((noinline)) char *first_line()
{
    return make<char>(72);
}

static char *const kept = first_line(); /* by the library's own initialiser */

const void *kept_line()
{
    return kept;
}

__attribute__((noinline)) Entry *Cache::remember(size_t size)
{
    Entry *entry = new Entry;
    entry->data = make<char>(size);
    entry->size = size;
    return entry;
}

__attribute__((noinline)) void Cache::forget(Entry *entry)
{
    delete[] entry->data;
    delete entry;
}

} // namespace cache
