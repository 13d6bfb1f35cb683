/* SPDX-License-Identifier: MIT */
/*
 * places.h - what a thread remembers of modules and of places in the code.
 *
 * A module that may be unloaded is verified in each walk before anything is believed that hangs on
 * it. When one has changed, all that does is forgotten.
 */
#ifndef PRELOAD_STACK_PLACES_H
#define PRELOAD_STACK_PLACES_H

#include "capture.h"
#include "compiler.h"
#include "memory.h"
#include "rule_cache.h"

#include <assert.h>

#define NO_MODULE MEMORY_MODULES

/* Of one walk. */
struct places {
    struct stack_tables *tables;
    struct rule_cache *rules;
    struct stack_memory *memory;
    uint64_t verified; /* modules found to be what they were, a bit each */
    bool forgotten;    /* remembered frames are worth nothing any more */
};

void places_begin(struct places *places, struct stack_tables *tables, struct rule_cache *rules,
                  struct stack_memory *memory);

void places_forget_all(struct places *places);

bool places_verify_slowly(struct places *places, uint64_t modules);

/* False: one of these modules, given by a bit each, is not there any more. */
static always_inline bool places_verify(struct places *places, uint64_t modules)
{
    return likely((modules & ~places->verified) == 0) || places_verify_slowly(places, modules);
}

static always_inline struct memory_place *places_entry(const struct places *places,
                                                       uintptr_t address)
{
    const unsigned bits = 10;
    static_assert(MEMORY_PLACES == 1u << 10, "the table has a place for each value of these bits");
    return &places->memory->places[address * 0x9e3779b97f4a7c15ULL >> (64 - bits)];
}

bool places_find_slowly(struct places *places, uintptr_t address, struct memory_place *ret);

/* The module and the short rule at an address; *other is for one that has no entry. NULL: they
 * cannot be had here. Valid until the next call. */
static always_inline const struct memory_place *
places_find(struct places *places, uintptr_t address, struct memory_place *other)
{
    const struct memory_place *entry = places_entry(places, address);
    if (likely(entry->address == address) && likely(entry->rule.kind != RULE_NONE) &&
        places_verify(places, 1ULL << entry->module % 64))
        return entry;
    return places_find_slowly(places, address, other) ? other : NULL;
}

#endif
