/* SPDX-License-Identifier: MIT */
#include "recall.h"

#include <string.h>

/* What has this serial came after the last one. */
static void follow(struct stack_memory *memory, uint32_t serial)
{
    recall_of(memory, memory->recall.last)->follower = serial;
    memory->recall.last = serial;
}

noinline uint32_t recall_find_in(struct places *places, struct memory_bucket *bucket,
                                 const struct stack_caller *at, uint64_t top)
{
    struct memory_recalled *recalled;
    uint32_t serial = bucket->newest;
    for (uint32_t i = 0;
         i < RECALL_TRIES && (recalled = recall_get(places->memory, serial)) != NULL; i++) {
        uint32_t id = recall_match(places, recalled, at, top);
        if (id != 0) {
            bucket->wasted -= bucket->wasted < RECALL_WORTH ? bucket->wasted : RECALL_WORTH;
            follow(places->memory, serial);
            return id;
        }
        serial = recalled->older;
    }
    return 0;
}

/* Appends the place of one more word. False: it cannot be told, or there is no more room. */
static bool put_word(int16_t *words, uint32_t *count, uint64_t top, int32_t from_top)
{
    int64_t from_base = from_top + (int64_t)(top - recall_base(top));
    if (from_base % 8 != 0 || from_base / 8 < INT16_MIN || *count == MEMORY_WORDS_A_STACK)
        return false;
    words[(*count)++] = (int16_t)(from_base / 8);
    return true;
}

/* The places of all words that led from frame to frame, from the innermost. */
static bool put_words(const struct stack_memory *memory, uint32_t frames, uint64_t top,
                      int16_t *words, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = frames - 1; i > 0; i--) {
        if (!put_word(words, count, top, memory->frames[i].ra_from_top))
            return false;
    }
    for (uint32_t i = 0; i < memory->frames[frames - 1].checks; i++) {
        if (!put_word(words, count, top, memory->checks[i].from_top))
            return false;
    }
    while (*count % RECALL_LANES != 0) {
        words[*count] = words[*count - 1];
        ++*count;
    }
    return true;
}

static uint32_t layout_of(const struct stack_memory *memory, const struct memory_recalled *recalled,
                          const int16_t *words)
{
    uint64_t hash = recalled->needs_fp;
    for (uint32_t i = 0; i < recalled->words; i++)
        hash = depot_hash_add(hash, depot_hash_spread((uint16_t)words[i]));
    for (uint64_t left = recalled->modules; left != 0; left &= left - 1)
        hash = depot_hash_add(
            hash, depot_hash_spread(memory->modules[__builtin_ctzll(left) % MEMORY_MODULES].id));
    return (uint32_t)(hash >> 32);
}

/* Whether one is known through which this one can be found: it begins alike and has its layout. */
static bool knows_alike(struct stack_memory *memory, const struct memory_recalled *as)
{
    const struct memory_recalled *recalled;
    uint32_t serial = as->older;
    for (uint32_t i = 0; i < RECALL_TRIES && (recalled = recall_get(memory, serial)) != NULL; i++) {
        if (recalled->pc == as->pc && recalled->sp == as->sp && recalled->layout == as->layout)
            return true;
        serial = recalled->older;
    }
    return false;
}

noinline void recall_add(struct places *places, uint64_t top, uint32_t count,
                         struct memory_bucket *bucket, uint32_t id)
{
    struct stack_memory *memory = places->memory;
    struct memory_recall *recall = &memory->recall;
    const struct memory_frame *innermost = &memory->frames[count - 1];
    int16_t *words = recall->new_words;
    uint32_t length;
    if (bucket->wasted < RECALL_WASTED_MAX)
        bucket->wasted++;
    if (!put_words(memory, count, top, words, &length))
        return;
    struct memory_recalled recalled = {
        .pc = innermost->pc,
        .sp = innermost->sp,
        .fp = innermost->fp,
        .sum = recall_sum(words, length, top),
        .modules = innermost->modules,
        .id = id,
        .older = bucket->newest,
        .words_begin = recall->words_end,
        .words = (uint16_t)length,
        .needs_fp = innermost->needs_fp,
    };
    recalled.layout = layout_of(memory, &recalled, words);
    known_add(&places->tables->known, recall_key(&recalled, recalled.sum, recalled.fp), id);
    if (knows_alike(memory, &recalled))
        return;
    memcpy(&recall->words[recalled.words_begin % MEMORY_RECALLED_WORDS], words,
           length * sizeof(*words));
    recall->words_end += length;
    recall->serial++;
    *recall_of(memory, recall->serial) = recalled;
    bucket->newest = recall->serial;
    follow(memory, recall->serial);
}
