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

/* What is in no module needs no verification. */
#define NO_MODULE_BIT (1ULL << NO_MODULE)

static always_inline void places_begin(struct places *places, struct stack_tables *tables,
                                       struct rule_cache *rules, struct stack_memory *memory)
{
    *places = (struct places){tables, rules, memory, memory->kept | NO_MODULE_BIT, false};
}

/* The kind of step that leads from a place. A plain one is that of nearly all: to a CFA above sp or
 * fp, reading nothing but what lies in between, and losing nothing. */
enum place_kind {
    PLACE_OTHER,
    PLACE_PLAIN_FROM_SP,
    PLACE_PLAIN_FROM_FP,
};

bool places_verify_slowly(struct places *places, uint64_t modules);

/* False: one of these modules, given by a bit each, is not there any more. */
static always_inline bool places_verify(struct places *places, uint64_t modules)
{
    return likely((modules & ~places->verified) == 0) || places_verify_slowly(places, modules);
}

static always_inline struct memory_place *places_entry(struct stack_memory *memory,
                                                       uintptr_t address)
{
    const unsigned bits = 10;
    static_assert(MEMORY_PLACES == 1u << 10, "the table has a place for each value of these bits");
    return &memory->places[address * 0x9e3779b97f4a7c15ULL >> (64 - bits)];
}

/* The module and the short rule at an address. False: they cannot be had here. */
bool places_find(struct places *places, uintptr_t address, struct memory_place *ret);

#endif
