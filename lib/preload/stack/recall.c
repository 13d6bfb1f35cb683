/* SPDX-License-Identifier: MIT */
#include "recall.h"

/* It came after the last one. */
static void follow(struct stack_memory *memory, uint32_t serial)
{
    recall_of(memory, memory->recall.last)->follower = serial;
    memory->recall.last = serial;
}

noinline struct memory_recalled *recall_find_in(struct stack_memory *memory,
                                                struct memory_bucket *bucket,
                                                const struct stack_caller *at, uint64_t top)
{
    uint32_t serial = bucket->newest;
    for (uint32_t i = 0; i < RECALL_TRIES && serial != 0; i++) {
        struct memory_recalled *recalled = recall_of(memory, serial);
        if (!recall_has(&memory->recall, serial))
            break;
        if (recall_is(memory, recalled, at, top)) {
            bucket->wasted -= bucket->wasted < RECALL_WORTH ? bucket->wasted : RECALL_WORTH;
            follow(memory, serial);
            return recalled;
        }
        serial = recalled->older;
    }
    return NULL;
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

noinline void recall_add(struct stack_memory *memory, uint64_t top, uint32_t count,
                         struct memory_bucket *bucket, uint32_t id)
{
    struct memory_recall *recall = &memory->recall;
    const struct memory_frame *innermost = &memory->frames[count - 1];
    uint32_t begin = recall->words_end, serial = recall->serial + 1, length;
    int16_t *words = &recall->words[begin % MEMORY_RECALLED_WORDS];
    if (bucket->wasted < RECALL_WASTED_MAX)
        bucket->wasted++;
    if (!put_words(memory, count, top, words, &length))
        return;
    *recall_of(memory, serial) = (struct memory_recalled){
        .pc = innermost->pc,
        .sp = innermost->sp,
        .fp = innermost->fp,
        .sum = recall_sum(words, length, top),
        .modules = innermost->modules,
        .id = id,
        .older = bucket->newest,
        .words_begin = begin,
        .words = (uint16_t)length,
        .needs_fp = innermost->needs_fp,
    };
    recall->words_end = begin + length;
    recall->serial = serial;
    bucket->newest = serial;
    follow(memory, serial);
}
