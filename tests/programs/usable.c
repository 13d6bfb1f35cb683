/* SPDX-License-Identifier: MIT */
/* usable - blocks have room for what was asked for, whichever function they are from. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static int is_smaller(void *block, size_t size)
{
    size_t usable = malloc_usable_size(block);
    if (block != NULL && usable >= size)
        memset(block, 0xa5, usable);
    return block == NULL || usable < size;
}

int main(void)
{
    for (size_t size = 1; size < 300000; size += size / 2 + 1) {
        void *blocks[] = {malloc(size), calloc(1, size), realloc(malloc(1), size),
                          memalign(64, size)};
        for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
            if (is_smaller(blocks[i], size))
                return 3;
        }
        for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
            free(blocks[i]);
    }
    return 0;
}
