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
#include "rule_cache.h"

#define NO_MODULE MEMORY_MODULES

#define PLACE_MODULE_SHIFT 48

/* Of one walk. */
struct places {
    struct stack_tables *tables;
    struct rule_cache *rules;
    struct stack_memory *memory;
    uint32_t verified; /* modules found to be what they were, a bit each */
    bool forgotten;    /* remembered frames are worth nothing any more */
};

struct place {
    uint64_t rule;   /* packed */
    uint32_t module; /* its slot in the memory; NO_MODULE: in no object */
};

void places_forget_all(struct places *places);

bool places_verify_slowly(struct places *places, uint32_t modules);

/* False: one of these modules, given by a bit each, is not there any more. */
static always_inline bool places_verify(struct places *places, uint32_t modules)
{
    return likely((modules & ~places->verified) == 0) || places_verify_slowly(places, modules);
}

/* Spread over the table by the low bits, which differ most among return addresses. */
static always_inline struct memory_place *places_entry(struct places *places, uintptr_t address)
{
    return &places->memory->places[(address ^ address >> 8) % MEMORY_PLACES];
}

bool places_find_slowly(struct places *places, uintptr_t address, struct place *ret);

/* The module and the short rule at an address. False: they cannot be had here. */
static always_inline bool places_find(struct places *places, uintptr_t address, struct place *ret)
{
    const struct memory_place *entry = places_entry(places, address);
    uint64_t key = entry->module_and_address, rule = entry->rule;
    uint32_t module = (uint32_t)(key >> PLACE_MODULE_SHIFT);
    if (likely((key & ((1ULL << PLACE_MODULE_SHIFT) - 1)) == address && rule != 0 &&
               places_verify(places, 1u << module))) {
        *ret = (struct place){rule, module};
        return true;
    }
    struct place found;
    if (!places_find_slowly(places, address, &found))
        return false;
    *ret = found;
    return true;
}

#endif
