/* SPDX-License-Identifier: MIT */
#include "leaky.h"

#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

/* So that no call is the last thing a function does. */
static void *touched(void *block)
{
    __asm__ volatile("" : "+r"(block)::"memory");
    return block;
}

NOINLINE void *text_grow(void *text, size_t size)
{
    return touched(realloc(text, size));
}

NOINLINE void *text_zeroed(size_t count, size_t size)
{
    return touched(calloc(count, size));
}

NOINLINE void *text_aligned(size_t alignment, size_t size)
{
    return touched(aligned_alloc(alignment, size));
}

NOINLINE void *text_copy(const char *text)
{
    return touched(strdup(text));
}

NOINLINE void text_release(void *text)
{
    free(text);
    touched(NULL);
}
