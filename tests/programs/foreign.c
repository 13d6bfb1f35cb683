/* SPDX-License-Identifier: MIT */
/*
 * foreign - gives 1000 blocks to free(), and 1000 to realloc() and then free(), that libc made by a
 * name of its own, which nobody stands in front of.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t size);

int main(void)
{
    for (size_t i = 0; i < 1000; i++) {
        free(__libc_malloc(100 + i));
        void *block = realloc(__libc_malloc(100 + i), 3000 + i);
        memset(block, 1, malloc_usable_size(block));
        free(block);
    }
    return 0;
}
