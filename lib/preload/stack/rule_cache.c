/* SPDX-License-Identifier: MIT */
#include "rule_cache.h"

#define PROBES_MAX 16

/* The rule's index in the set, added if it is new; 0 when there is no room near its place. */
static uint32_t intern(struct rule_cache *cache, struct rule rule)
{
    uint64_t word = rule_pack(rule);
    uint32_t at = (uint32_t)(rule_cache_spread(word) >> (64 - RULE_CACHE_SET_BITS));
    for (uint32_t i = 0; i < PROBES_MAX; i++, at = (at + 1) % RULE_CACHE_RULES) {
        uint64_t found = 0;
        if (at == 0)
            continue;
        if (__atomic_compare_exchange_n(&cache->rules[at], &found, word, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            found == word)
            return at;
    }
    return 0;
}

void rule_cache_add(struct rule_cache *cache, rule_key key, struct rule rule)
{
    uint32_t index = intern(cache, rule);
    if (index == 0)
        return;
    uint64_t product = rule_cache_spread(key);
    uint64_t *set = rule_cache_set(cache, product);
    /* The first empty way, or the one that chance, in the form of the key, names. */
    unsigned victim = (unsigned)(product >> 8) % RULE_CACHE_WAYS;
    for (unsigned way = RULE_CACHE_WAYS; way-- > 0;) {
        if (__atomic_load_n(&set[way], __ATOMIC_RELAXED) == 0)
            victim = way;
    }
    __atomic_store_n(&set[victim], rule_cache_tag(product) | index, __ATOMIC_RELEASE);
}

struct rule rule_find_slowly(struct rule_cache *cache, const struct module *module, uintptr_t pc)
{
    struct rule rule = rule_learn(module, pc);
    if (cache != NULL && module->id != 0)
        rule_cache_add(cache, rule_key_of(module, pc), rule);
    return rule;
}
