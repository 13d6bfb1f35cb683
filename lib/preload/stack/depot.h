/* SPDX-License-Identifier: MIT */
/* depot.h - each distinct stack once in the recording, named by its id. */
#ifndef PRELOAD_STACK_DEPOT_H
#define PRELOAD_STACK_DEPOT_H

#include <stdint.h>

/*
 * The hash of frames f[0], f[1], ..., innermost first, is the sum of spread(f[i]) * BASE^i: it can
 * be computed from the outermost frame inwards, so that stacks that share their outer frames share
 * that part of the work.
 */
#define DEPOT_HASH_BASE 0xd1342543de82ef95ULL
#define DEPOT_HASH_SPREAD 0x9e3779b97f4a7c15ULL

static inline uint64_t depot_hash_spread(uint64_t frame)
{
    uint64_t spread = frame * DEPOT_HASH_SPREAD;
    return spread ^ spread >> 32;
}

/* The hash with one more frame, inside those that `outer` is the hash of (0: of none). */
static inline uint64_t depot_hash_add(uint64_t outer, uint64_t spread)
{
    return outer * DEPOT_HASH_BASE + spread;
}

/* BASE^count. The hash of the `count` innermost frames alone is that of all less that of the others
 * times this. */
uint64_t depot_hash_power(uint32_t count);

/* What a stack is found by, never 0; from the hash of its frames. */
static inline uint64_t depot_key(uint64_t hash, uint32_t count, uint32_t flags)
{
    hash = (hash ^ ((uint64_t)count << 32 | flags)) * DEPOT_HASH_SPREAD;
    hash ^= hash >> 32;
    return hash != 0 ? hash : 1;
}

/*
 * The id of the stack with these frames and flags, stored now if it is new; 0 when it could not be
 * stored. Lock-free; `index` is the process's table. Two threads that meet a new stack at the same
 * moment may store it twice, but agree on the id from then on.
 *
 * A stack is known by its key. That two of a program's stacks should have the same is as likely as
 * n^2 / 2^65, for a million stacks one in 37 million.
 */
uint32_t depot_intern(void **index, const uint64_t *frames, uint32_t count, uint32_t flags);

/* The same where the key is known. */
uint32_t depot_intern_by(void **index, uint64_t key, const uint64_t *frames, uint32_t count,
                         uint32_t flags);

/* The id of a stack that was stored, by its key; 0: it was not found at the first look. */
uint32_t depot_find(void **index, uint64_t key);

#endif
