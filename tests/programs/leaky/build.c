/* SPDX-License-Identifier: MIT */
/*
 * build - one program in two builds. The old one is optimised, so that `inner` and `middle` are
 * inlined, and keeps every fourth block of theirs; the new one is not optimised, keeps every
 * second, and has one path more.
 */
#include <stdlib.h>

enum { CALLS = 1000 };

/* Nothing is known about the block any more: it and the calls that follow stay as written. */
static void *used(void *block)
{
    __asm__ volatile("" : "+r"(block)::"memory");
    return block;
}

static void *inner(size_t size)
{
    return used(malloc(size));
}

static void *middle(void)
{
    return used(inner(100));
}

static void *steady(void)
{
    return used(malloc(10));
}

#ifdef NEW_BUILD
enum { KEEP_ONE_IN = 2 };

static void *added(void)
{
    return used(calloc(10, 50));
}
#else
enum { KEEP_ONE_IN = 4 };
#endif

int main(void)
{
    for (int i = 0; i < CALLS; i++) {
        void *block = middle();
        if (i % KEEP_ONE_IN)
            free(block);
        steady();
    }
#ifdef NEW_BUILD
    for (int i = 0; i < CALLS / 10; i++)
        added();
#endif
    return 0;
}
