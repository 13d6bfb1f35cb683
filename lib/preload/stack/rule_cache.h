/* SPDX-License-Identifier: MIT */
/*
 * rule_cache.h - short rules by place in the code, so that a frame met before costs a few loads.
 *
 * A program has few different short rules. They are kept once each in a set of 64-bit words; the
 * cache proper maps a place to an index in the set.
 *
 * A key is multiplied by an odd number, which loses nothing: the product's high bits choose the set
 * of entries, and an entry stores all the others, so that together they are the key.
 *
 *      63                            12 11          0
 *     +--------------------------------+-------------+
 *     | rest of the product (52 bits)  | rule index  |    0: empty
 *     +--------------------------------+-------------+
 *
 * 16384 places take 128 KiB. python3 importing ssl and asyncio, node and cc1 meet 4000 to 6000
 * places below malloc; what is replaced is learned again, in about 150 ns.
 *
 * Lock-free, and nothing to tear: an entry is one word that holds the whole key, and a rule, once
 * in the set, never changes.
 */
#ifndef PRELOAD_STACK_RULE_CACHE_H
#define PRELOAD_STACK_RULE_CACHE_H

#include "compiler.h"
#include "rule.h"

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stdint.h>

#define RULE_CACHE_SET_BITS 12
#define RULE_CACHE_WAYS 4 /* half a cache line */
#define RULE_CACHE_RULES (1u << RULE_CACHE_SET_BITS)

struct rule_cache {
    uint64_t sets[1u << RULE_CACHE_SET_BITS][RULE_CACHE_WAYS];
    uint64_t rules[RULE_CACHE_RULES]; /* an open hash table; index 0 is never used */
};

/* A place in the code as a depot frame packs it, module and offset: unique in the recording. */
typedef uint64_t rule_key;

/* 2^64 divided by the golden ratio: spreads neighbouring keys over the sets. */
static always_inline uint64_t rule_cache_spread(rule_key key)
{
    return key * 0x9e3779b97f4a7c15ULL;
}

static always_inline uint64_t *rule_cache_set(struct rule_cache *cache, uint64_t product)
{
    return cache->sets[product >> (64 - RULE_CACHE_SET_BITS)];
}

static always_inline uint64_t rule_cache_tag(uint64_t product)
{
    return product << RULE_CACHE_SET_BITS;
}

/* False: not there. */
static always_inline bool rule_cache_find(struct rule_cache *cache, rule_key key, struct rule *ret)
{
    uint64_t product = rule_cache_spread(key), tag = rule_cache_tag(product);
    uint64_t *set = rule_cache_set(cache, product);
    for (unsigned way = 0; way < RULE_CACHE_WAYS; way++) {
        /* Pairs with the release in rule_cache_add(): the rule is there before its index. What is
         * left of an entry without its tag is the index; an empty one has index 0. */
        uint64_t index = __atomic_load_n(&set[way], __ATOMIC_ACQUIRE) - tag;
        if (likely(index - 1 < RULE_CACHE_RULES - 1)) {
            *ret = rule_unpack(__atomic_load_n(&cache->rules[index], __ATOMIC_RELAXED));
            return true;
        }
    }
    return false;
}

/* May silently keep nothing. */
void rule_cache_add(struct rule_cache *cache, rule_key key, struct rule rule);

/* rule_learn(), and rule_cache_add() where there is a key for it. */
struct rule rule_find_slowly(struct rule_cache *cache, const struct module *module, uintptr_t pc);

static always_inline rule_key rule_key_of(const struct module *module, uintptr_t pc)
{
    return (uint64_t)module->id << 48 | MALLOCTAP_FRAME_OFFSET(pc - module->object.bias);
}

/* The short rule for a place; `module` NULL: in no object; `cache` NULL: no memory for one. */
static always_inline struct rule rule_find(struct rule_cache *cache, const struct module *module,
                                           uintptr_t pc)
{
    struct rule rule = {.kind = RULE_NOT_DESCRIBED};
    if (unlikely(module == NULL))
        return rule;
    /* Without an id the place has no name that outlives the object. */
    if (likely(cache != NULL && module->id != 0 &&
               rule_cache_find(cache, rule_key_of(module, pc), &rule)))
        return rule;
    return rule_find_slowly(cache, module, pc);
}

#endif
