/* SPDX-License-Identifier: MIT */
/*
 * lives.h - sampled blocks that are still allocated, by address.
 *
 * A fixed table of buckets, each of eight addresses in one cache line; an address may be in either
 * of two buckets, so the table works until it is nearly full. In front of it stands a counting
 * filter, so that a free of any other block costs one load. Lock-free; every thread may use it at
 * any time.
 */
#ifndef PRELOAD_LIVES_H
#define PRELOAD_LIVES_H

#include <compiler.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIVES_FILTER_BITS 16
#define LIVES_PLACE_BYTES 128u

struct life {
    uint64_t size; /* bytes requested */
    double weight;
    uint64_t ticks;
    uint32_t stack;
};

/* Number of live addresses that fall on each place; sticks at 255, which marks a place for good.
 * Places follow the addresses, so that blocks that lie together share the filter's cache lines too:
 * one line covers 8 KiB of heap. Small neighbours of a sampled block take the slow path in vain. */
extern uint8_t lives_filter[1u << LIVES_FILTER_BITS] HIDDEN;

static always_inline uint8_t *lives_place(const void *block)
{
    return &lives_filter[(uintptr_t)block / LIVES_PLACE_BYTES % (1u << LIVES_FILTER_BITS)];
}

/* False: `block` is certainly not in the table. */
static always_inline bool lives_maybe(const void *block)
{
    return *lives_place(block) != 0;
}

/* Make lives_maybe() true for these bytes for ever: addresses that need the slow path all the same.
 */
void lives_mark(const void *from, size_t size);

/* Remember a block; false when there is no room. To be called before the program gets the address.
 */
bool lives_add(const void *block, const struct life *life);

/* How many blocks are in the table. From LIVES_MANY on no more than need be should be added: for
 * each of them more frees have to look whether it is theirs. */
#define LIVES_MANY 2048u
uint32_t lives_count(void);

/* Whether a block is in the table, for who got here by a neighbour's mark. */
bool lives_hold(const void *block);

/* Forget a block; false when it is not there. To be called before the memory goes back. */
bool lives_take(const void *block, struct life *ret);

bool lives_wipe_on_fork(void);
void lives_wipe(void);

#endif
