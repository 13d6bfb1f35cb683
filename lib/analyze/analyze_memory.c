/* SPDX-License-Identifier: MIT */
#include "analyze_memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *must(void *memory)
{
    if (!memory) {
        fputs("malloctap: out of memory; look at a shorter recording or free some memory\n",
              stderr);
        exit(2);
    }
    return memory;
}

void *memory_zeroed(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size));
}

void *memory_pages(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(pages != MAP_FAILED ? pages : NULL);
    madvise(pages, size, MADV_HUGEPAGE); /* where it fails there are none */
    return pages;
}

void memory_pages_free(void *pages, size_t size)
{
    if (size)
        munmap(pages, size);
}

void *memory_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 16;
    return must(reallocarray(array, *capacity, size));
}

char *memory_copy_text(const char *text)
{
    return must(strdup(text));
}
