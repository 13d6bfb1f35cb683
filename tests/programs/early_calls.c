/* SPDX-License-Identifier: MIT */
/*
 * early_calls - a library that stands in front of a function which a recorder needs to start, and
 * allocates in it, as wrappers do; and takes those blocks through all of malloc's family at the
 * program's end. Its constructor is the first of all; with END_EARLY it ends the program.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT = 64 };

static void *kept[KEPT];
static size_t count;
static int (*next)(void);

static void keep(size_t size)
{
    if (count < KEPT)
        kept[count++] = memset(malloc(size), 0x5a, size);
}

int getpagesize(void)
{
    keep(100);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "getpagesize");
    keep(3000);
    return next();
}

__attribute__((constructor)) static void first(void)
{
    keep(200);
#ifdef END_EARLY
    _exit(0);
#endif
}

__attribute__((destructor)) static void last(void)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char *block = realloc(kept[i], 5000);
        if (block == NULL || block[0] != 0x5a || block[99] != 0x5a ||
            malloc_usable_size(block) < 5000)
            abort();
        free(block);
    }
}
