/* SPDX-License-Identifier: MIT */
/*
 * operator_plugin - a library that brings an operator new and delete of its own, which keep a mark
 * before each block: the delete of another library would not know it.
 */
#include <stdint.h>
#include <stdlib.h>

/* operator new(size_t) and operator delete(void *), as C knows them. */
void *_Znwm(size_t size);
void _ZdlPv(void *block);
void *plugin_make(size_t size);
void plugin_drop(void *block);

static uint64_t mark;

void *_Znwm(size_t size)
{
    uint64_t **block = malloc(sizeof(uint64_t *[2]) + size);
    if (block == NULL)
        abort();
    block[0] = &mark;
    return block + 2;
}

void _ZdlPv(void *block)
{
    uint64_t **marked = (uint64_t **)block - 2;
    if (marked[0] != &mark)
        abort();
    free(marked);
}

void *plugin_make(size_t size)
{
    return _Znwm(size);
}

void plugin_drop(void *block)
{
    _ZdlPv(block);
}
