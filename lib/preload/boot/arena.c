/* SPDX-License-Identifier: MIT */
#include "arena.h"

/* Before each block stands its size, in the 16 bytes below the (16-aligned) address. */
#define HEADER 16u

char arena_memory[ARENA_SIZE] __attribute__((aligned(64)));
static size_t arena_used;

void *arena_alloc(size_t size, size_t alignment)
{
    if (alignment < 16)
        alignment = 16;
    if (size > ARENA_SIZE || alignment > ARENA_SIZE)
        return NULL;
    size_t used = __atomic_load_n(&arena_used, __ATOMIC_RELAXED);
    uintptr_t block;
    size_t end;
    do {
        block = ALIGN_UP((uintptr_t)arena_memory + used + HEADER, alignment);
        end = block - (uintptr_t)arena_memory + ALIGN_UP(size, 16);
        if (end > ARENA_SIZE)
            return NULL;
    } while (!__atomic_compare_exchange_n(&arena_used, &used, end, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    ((size_t *)block)[-1] = ALIGN_UP(size, 16);
    return (void *)block;
}

size_t arena_in_use(void)
{
    return __atomic_load_n(&arena_used, __ATOMIC_RELAXED);
}

size_t arena_usable_size(const void *block)
{
    return ((const size_t *)block)[-1];
}
