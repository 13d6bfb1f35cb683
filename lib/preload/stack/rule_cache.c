/* SPDX-License-Identifier: MIT */
/*
 * rule_cache.c
 *
 * A key is multiplied by an odd number, which loses nothing: the product's high bits choose the set
 * of entries, and an entry stores all the others, so that together they are the key.
 *
 *      63                            13 12          0
 *     +--------------------------------+-------------+
 *     | rest of the product (51 bits)  | rule index  |    0: empty
 *     +--------------------------------+-------------+
 */
#include "rule_cache.h"

#include "compiler.h"
#include "table.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define SET_BITS 13
#define WAYS 4 /* half a cache line */
#define RULE_BITS 13
#define RULES (1u << RULE_BITS)
#define PROBES_MAX 16

static_assert(SET_BITS == RULE_BITS, "the bits a set saves are those a rule index takes");
static_assert(sizeof(struct rule) == sizeof(uint64_t), "a rule is one word");

struct rule_cache {
    _Atomic uint64_t sets[1u << SET_BITS][WAYS];
    _Atomic uint64_t rules[RULES]; /* an open hash table; index 0 is never used */
};

/* 2^64 divided by the golden ratio: spreads neighbouring keys over the sets. */
#define SPREAD 0x9e3779b97f4a7c15ULL

static always_inline uint64_t spread(rule_key key)
{
    return key * SPREAD;
}

static always_inline uint64_t tag_of(uint64_t product)
{
    return product << SET_BITS;
}

bool rule_cache_find(_Atomic(void *) *cache, rule_key key, struct rule *ret)
{
    struct rule_cache *table = table_get(cache, sizeof(*table));
    if (unlikely(table == NULL))
        return false;
    uint64_t product = spread(key);
    _Atomic uint64_t *set = table->sets[product >> (64 - SET_BITS)];
    for (unsigned way = 0; way < WAYS; way++) {
        /* Pairs with the release in rule_cache_add(): the rule is there before its index. */
        uint64_t entry = atomic_load_explicit(&set[way], memory_order_acquire);
        if (((entry ^ tag_of(product)) < RULES) && (entry & (RULES - 1)) != 0) {
            uint64_t word =
                atomic_load_explicit(&table->rules[entry & (RULES - 1)], memory_order_relaxed);
            memcpy(ret, &word, sizeof(*ret));
            return true;
        }
    }
    return false;
}

/* The rule's index in the set, added if it is new; 0 when there is no room near its place. */
static uint32_t intern(struct rule_cache *table, struct rule rule)
{
    uint64_t word;
    memcpy(&word, &rule, sizeof(word));
    uint32_t at = (uint32_t)(spread(word) >> (64 - RULE_BITS));
    for (uint32_t i = 0; i < PROBES_MAX; i++, at = (at + 1) % RULES) {
        uint64_t found = 0;
        if (at == 0)
            continue;
        if (atomic_compare_exchange_strong_explicit(&table->rules[at], &found, word,
                                                    memory_order_relaxed, memory_order_relaxed) ||
            found == word)
            return at;
    }
    return 0;
}

void rule_cache_add(_Atomic(void *) *cache, rule_key key, struct rule rule)
{
    struct rule_cache *table = table_get(cache, sizeof(*table));
    uint32_t index = table == NULL ? 0 : intern(table, rule);
    if (index == 0)
        return;
    uint64_t product = spread(key);
    _Atomic uint64_t *set = table->sets[product >> (64 - SET_BITS)];
    /* An empty place, or the one that chance, in the form of the key, names. */
    unsigned victim = (unsigned)(product >> 8) % WAYS;
    for (unsigned way = 0; way < WAYS; way++) {
        if (atomic_load_explicit(&set[way], memory_order_relaxed) == 0)
            victim = way;
    }
    atomic_store_explicit(&set[victim], tag_of(product) | index, memory_order_release);
}
