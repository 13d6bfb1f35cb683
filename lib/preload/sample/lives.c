/* SPDX-License-Identifier: MIT */
#include "lives.h"

#include <sys.h>
#include <wiped.h>

#include <string.h>

#define BUCKET_BITS 12
#define BUCKETS (1u << BUCKET_BITS)
#define WAYS 8u

/* Values of a key that are no address. */
#define EMPTY 0u
#define BUSY 1u /* being filled in or taken */

struct bucket {
    uint64_t keys[WAYS];
    struct life lives[WAYS];
};

static struct {
    struct bucket *buckets; /* mapped at the first sampled allocation */
    uint32_t count;
} WIPED lives;

uint8_t lives_filter[1u << LIVES_FILTER_BITS] WIPED;

bool lives_wipe_on_fork(void)
{
    bool filter = wipe_on_fork(lives_filter, sizeof lives_filter);
    return wipe_on_fork(&lives, sizeof lives) && filter;
}

void lives_wipe(void)
{
    memset(lives_filter, 0, sizeof lives_filter);
    memset(&lives, 0, sizeof lives);
}

static struct bucket *table(void)
{
    struct bucket *buckets = __atomic_load_n(&lives.buckets, __ATOMIC_ACQUIRE);
    if (buckets != NULL)
        return buckets;
    struct bucket *fresh = sys_map_anonymous(BUCKETS * sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    if (__atomic_compare_exchange_n(&lives.buckets, &buckets, fresh, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return fresh;
    munmap(fresh, BUCKETS * sizeof *fresh);
    return buckets;
}

void lives_mark(const void *from, size_t size)
{
    uintptr_t first = (uintptr_t)from & ~(uintptr_t)(LIVES_PLACE_BYTES - 1);
    for (uintptr_t at = first; at < (uintptr_t)from + size; at += LIVES_PLACE_BYTES)
        __atomic_store_n(lives_place((const void *)at), UINT8_MAX, __ATOMIC_RELAXED);
}

static void filter_add(const void *block)
{
    uint8_t *place = lives_place(block);
    uint8_t seen = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (seen != UINT8_MAX &&
           !__atomic_compare_exchange_n(place, &seen, (uint8_t)(seen + 1), false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

/* A place that stuck at its maximum stays there: its true count is not known. */
static void filter_remove(const void *block)
{
    uint8_t *place = lives_place(block);
    uint8_t seen = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (seen != UINT8_MAX &&
           !__atomic_compare_exchange_n(place, &seen, (uint8_t)(seen - 1), false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

/* The two buckets of an address: two ranges of bits of its hash (Fibonacci hashing). */
static struct bucket *bucket_of(struct bucket *buckets, const void *block, unsigned which)
{
    uint64_t hash = (uint64_t)(uintptr_t)block / 16 * 0x9e3779b97f4a7c15ull;
    return &buckets[hash >> (which ? 20 : 64 - BUCKET_BITS) & (BUCKETS - 1)];
}

static bool add_to(struct bucket *bucket, const void *block, const struct life *life)
{
    for (unsigned way = 0; way < WAYS; way++) {
        uint64_t empty = EMPTY;
        if (!__atomic_compare_exchange_n(&bucket->keys[way], &empty, BUSY, false, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED))
            continue;
        bucket->lives[way] = *life;
        /* Pairs with the acquire in take_from(): who finds the address finds its life. */
        __atomic_store_n(&bucket->keys[way], (uintptr_t)block, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

bool lives_add(const void *block, const struct life *life)
{
    struct bucket *buckets = table();
    if (buckets == NULL)
        return false;
    /* The filter first: it must never miss an address that is in the table. */
    filter_add(block);
    if (add_to(bucket_of(buckets, block, 0), block, life) ||
        add_to(bucket_of(buckets, block, 1), block, life)) {
        __atomic_fetch_add(&lives.count, 1, __ATOMIC_RELAXED);
        return true;
    }
    filter_remove(block);
    return false;
}

static bool take_from(struct bucket *bucket, const void *block, struct life *ret)
{
    for (unsigned way = 0; way < WAYS; way++) {
        uint64_t key = (uintptr_t)block;
        if (__atomic_load_n(&bucket->keys[way], __ATOMIC_RELAXED) != key ||
            !__atomic_compare_exchange_n(&bucket->keys[way], &key, BUSY, false, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED))
            continue;
        *ret = bucket->lives[way];
        __atomic_store_n(&bucket->keys[way], EMPTY, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

static bool holds(const struct bucket *bucket, const void *block)
{
    for (unsigned way = 0; way < WAYS; way++)
        if (__atomic_load_n(&bucket->keys[way], __ATOMIC_RELAXED) == (uintptr_t)block)
            return true;
    return false;
}

bool lives_hold(const void *block)
{
    struct bucket *buckets = __atomic_load_n(&lives.buckets, __ATOMIC_ACQUIRE);
    return buckets != NULL && lives_maybe(block) &&
           (holds(bucket_of(buckets, block, 0), block) ||
            holds(bucket_of(buckets, block, 1), block));
}

bool lives_take(const void *block, struct life *ret)
{
    struct bucket *buckets = __atomic_load_n(&lives.buckets, __ATOMIC_ACQUIRE);
    if (buckets == NULL || !lives_maybe(block))
        return false;
    if (!take_from(bucket_of(buckets, block, 0), block, ret) &&
        !take_from(bucket_of(buckets, block, 1), block, ret))
        return false;
    __atomic_fetch_sub(&lives.count, 1, __ATOMIC_RELAXED);
    filter_remove(block);
    return true;
}

uint32_t lives_count(void)
{
    return __atomic_load_n(&lives.count, __ATOMIC_RELAXED);
}
