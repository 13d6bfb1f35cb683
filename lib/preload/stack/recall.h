/* SPDX-License-Identifier: MIT */
/*
 * recall.h - stacks that were taken before, known again without a walk.
 *
 * A walk is a function of pc, sp, fp and the words of the stack that its steps read (see chain.h),
 * if the modules are the ones they were. So a stack is put down as that: where those words are, its
 * layout, and a sum of what they held. It is the stack that it was if it begins at the same pc, sp
 * and, where that matters, fp, and the sum is the same. If the sum is another, it may be a stack of
 * the same layout that some thread has met: all these are in a table by everything a walk depends
 * on. That two stacks are taken for one is as likely as that they have one key in the depot.
 *
 * What a thread puts down has serial numbers and is replaced in turn, as are the words' places.
 * Each knows the one that came after it, which is the first guess for the next, and is in a bucket
 * with those that begin alike, newest first; so what has been replaced is always at the end of a
 * bucket.
 */
#ifndef PRELOAD_STACK_RECALL_H
#define PRELOAD_STACK_RECALL_H

#include "caller.h"
#include "compiler.h"
#include "depot.h"
#include "known.h"
#include "memory.h"
#include "places.h"
#include "view.h"
#include "walk_step.h"

#include <assert.h>

static_assert((MEMORY_RECALLED_WORDS & (MEMORY_RECALLED_WORDS - 1)) == 0 &&
                  (MEMORY_RECALLED & (MEMORY_RECALLED - 1)) == 0,
              "numbers that overflow go on at the next place");

/* Words are summed up so many at a time; a stack's last one is repeated to make up for it. */
#define RECALL_LANES 4u

/* Of those that begin alike, but differ in layout or in modules, so many are tried. */
#define RECALL_TRIES 8u

/* A stack that is met again makes up for so many that are not. */
#define RECALL_WORTH 2u
#define RECALL_WASTED_MAX 32u
/* Of a bucket where more were wasted, one in so many is tried. */
#define RECALL_SKIPPED 8u

/* The end of the last whole word below the stack's top. */
static always_inline uint64_t recall_base(uint64_t top)
{
    return top & ~UINT64_C(7);
}

static always_inline uint64_t recall_sum(const int16_t *words, uint32_t count, uint64_t top)
{
    const uint64_t base = recall_base(top);
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (const int16_t *end = words + count; words < end; words += RECALL_LANES) {
        a = depot_hash_add(a, stack_view_load(words_from(base, words[0])));
        b = depot_hash_add(b, stack_view_load(words_from(base, words[1])));
        c = depot_hash_add(c, stack_view_load(words_from(base, words[2])));
        d = depot_hash_add(d, stack_view_load(words_from(base, words[3])));
    }
    return ((a * DEPOT_HASH_SPREAD + b) * DEPOT_HASH_SPREAD + c) * DEPOT_HASH_SPREAD + d;
}

static always_inline struct memory_recalled *recall_of(struct stack_memory *memory, uint32_t serial)
{
    return &memory->recall.stacks[serial % MEMORY_RECALLED];
}

/* The stack with this serial, if it and its words' places are still there; otherwise NULL. Of
 * others' places, those of a recursion hold the same words. */
static always_inline struct memory_recalled *recall_get(struct stack_memory *memory,
                                                        uint32_t serial)
{
    const struct memory_recall *recall = &memory->recall;
    struct memory_recalled *recalled = recall_of(memory, serial);
    bool there = serial != 0 && recall->serial - serial < MEMORY_RECALLED &&
                 recall->words_end - recalled->words_begin <= MEMORY_RECALLED_WORDS;
    return there ? recalled : NULL;
}

static always_inline struct memory_bucket *recall_bucket(struct stack_memory *memory,
                                                         const struct stack_caller *at)
{
    uint64_t hash = (at->pc ^ at->sp * DEPOT_HASH_BASE) * DEPOT_HASH_SPREAD;
    return &memory->recall.buckets[(hash >> 32) % MEMORY_BUCKETS];
}

/* All that a walk depends on, of a stack of this layout: sp follows from the layout. It is no
 * thread's own but for words that are. */
static always_inline uint64_t recall_key(const struct memory_recalled *recalled, uint64_t sum,
                                         uint64_t fp)
{
    uint64_t hash = depot_hash_add(sum, recalled->pc);
    hash = depot_hash_add(hash, recalled->layout);
    if (recalled->needs_fp)
        hash = depot_hash_add(hash, fp);
    return depot_key(hash, recalled->words, 0);
}

/* The id of the stack that begins there if it is this one or one of the same layout; 0: it is not
 * known, or was in a module that is not there any more. */
static always_inline uint32_t recall_match(struct places *places, struct memory_recalled *recalled,
                                           const struct stack_caller *at, uint64_t top)
{
    struct stack_memory *memory = places->memory;
    if (recalled->pc != at->pc || recalled->sp != at->sp || recalled->id == 0)
        return 0;
    const int16_t *words = &memory->recall.words[recalled->words_begin % MEMORY_RECALLED_WORDS];
    uint64_t sum = recall_sum(words, recalled->words, top);
    if (unlikely(!places_verify(places, recalled->modules)))
        return 0;
    if (likely(sum == recalled->sum) && (!recalled->needs_fp || recalled->fp == at->fp))
        return recalled->id;
    return known_find(&places->tables->known, recall_key(recalled, sum, at->fp));
}

uint32_t recall_find_in(struct places *places, struct memory_bucket *bucket,
                        const struct stack_caller *at, uint64_t top);

/* The id of the stack that begins there; 0: it is not known. *bucket: where it is, or where to put
 * it; NULL: to look for it, or to put it anywhere, is not worth it. */
static always_inline uint32_t recall_find(struct places *places, const struct stack_caller *at,
                                          uint64_t top, struct memory_bucket **bucket)
{
    struct memory_recall *recall = &places->memory->recall;
    uint32_t next = recall_of(places->memory, recall->last)->follower, id;
    struct memory_recalled *recalled = recall_get(places->memory, next);
    *bucket = NULL;
    if (likely(recalled != NULL) && likely((id = recall_match(places, recalled, at, top)) != 0)) {
        recall->last = next;
        return id;
    }
    struct memory_bucket *found = recall_bucket(places->memory, at);
    if (found->wasted >= RECALL_WASTED_MAX && ++found->skipped % RECALL_SKIPPED != 0)
        return 0;
    *bucket = found;
    return recall_find_in(places, found, at, top);
}

/* Put down the stack of so many remembered frames. */
void recall_add(struct places *places, uint64_t top, uint32_t count, struct memory_bucket *bucket,
                uint32_t id);

#endif
