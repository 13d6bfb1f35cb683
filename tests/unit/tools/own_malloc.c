/* SPDX-License-Identifier: MIT */
/* A malloc of its own, as a program may have inside, or a library be made of. */
#include <stddef.h>

void *malloc(size_t size);

void *malloc(size_t size)
{
    static _Alignas(16) char pool[4096];
    return size <= sizeof pool ? pool : NULL;
}
