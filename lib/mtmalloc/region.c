/* SPDX-License-Identifier: MIT */
/*
 * region.c - memory is mapped in regions of a few MiB and carved from the top down: the kernel
 * places a new mapping right below the last one, so that what is left of a region continues in the
 * next.
 *
 * Which pages are ours is a bitmap in two levels, a bit for each 4 KiB of the 47-bit address space.
 */
#include "region.h"

#include "os.h"

#include <compiler.h>

#include <stdatomic.h>
#include <stdint.h>

#define REGION_SIZE (4u << 20)

#define ADDRESS_BITS 47
#define LEAF_BITS 30 /* of the address, below which one leaf decides */
#define PAGE_BITS 12
#define LEAF_WORDS ((1u << (LEAF_BITS - PAGE_BITS)) / 64)

static uint64_t *_Atomic leaves[1u << (ADDRESS_BITS - LEAF_BITS)];

/* Not carved yet: low ... low + left. */
static char *low;
static size_t left;

bool mt_region_owns(const void *p)
{
    uintptr_t address = (uintptr_t)p;
    if (unlikely(address >> ADDRESS_BITS != 0))
        return false;
    /* Acquire: pairs with the release in leaf_of(); the leaf is seen zeroed. */
    const uint64_t *leaf =
        atomic_load_explicit(&leaves[address >> LEAF_BITS], memory_order_acquire);
    if (leaf == NULL)
        return false;
    uintptr_t page = address >> PAGE_BITS;
    uint64_t word = __atomic_load_n(&leaf[page / 64 % LEAF_WORDS], __ATOMIC_RELAXED);
    return word >> page % 64 & 1;
}

static uint64_t *leaf_of(uintptr_t address)
{
    uint64_t *_Atomic *slot = &leaves[address >> LEAF_BITS];
    uint64_t *leaf = atomic_load_explicit(slot, memory_order_relaxed);
    if (leaf == NULL) {
        leaf = mt_os_map(LEAF_WORDS * sizeof *leaf);
        atomic_store_explicit(slot, leaf, memory_order_release);
    }
    return leaf;
}

/* Atomic stores for the sake of readers: two regions may meet in a word. */
static bool mark_as_ours(uintptr_t from, size_t size)
{
    for (uintptr_t at = from; at - from < size; at += (uintptr_t)1 << LEAF_BITS)
        if (leaf_of(at) == NULL)
            return false;
    if (leaf_of(from + size - 1) == NULL)
        return false;
    uintptr_t page = from >> PAGE_BITS, end = (from + size) >> PAGE_BITS;
    while (page < end) {
        unsigned first = page % 64;
        unsigned count = end - page < 64 - first ? (unsigned)(end - page) : 64 - first;
        uint64_t bits = (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1) << first;
        uint64_t *leaf = leaf_of(page << PAGE_BITS);
        __atomic_fetch_or(&leaf[page / 64 % LEAF_WORDS], bits, __ATOMIC_RELAXED);
        page += count;
    }
    return true;
}

static char *map_region(size_t size)
{
    char *memory = mt_os_map(size);
    if (memory == NULL)
        return NULL;
    if ((uintptr_t)memory >> ADDRESS_BITS != 0 || !mark_as_ours((uintptr_t)memory, size)) {
        mt_os_unmap(memory, size);
        return NULL;
    }
    return memory;
}

static char *carve(size_t size)
{
    left -= size;
    return low + left;
}

void mt_region_start_over(void)
{
    low = NULL;
    left = 0;
}

void *mt_region_alloc(size_t size)
{
    if (size <= left)
        return carve(size);
    size_t mapped = size > REGION_SIZE ? size : REGION_SIZE;
    char *memory = map_region(mapped);
    if (memory == NULL && mapped > size) {
        mapped = size;
        memory = map_region(mapped);
    }
    if (memory == NULL)
        return NULL;
    if (memory + mapped == low) {
        low = memory;
        left += mapped;
        return carve(size);
    }
    if (mapped - size < left) /* the old rest is worth more than the new one */
        return memory + (mapped - size);
    low = memory;
    left = mapped;
    return carve(size);
}
