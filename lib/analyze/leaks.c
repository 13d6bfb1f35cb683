/* SPDX-License-Identifier: MIT */
#include "leaks.h"

#include "analyze_memory.h"
#include "thread_filter.h"

#include <stdlib.h>

/* ---- sums ------------------------------------------------------------------------------------ */

void leaks_sums_add(struct leaks_sums *to, const struct leaks_sums *from)
{
    estimate_add(&to->bytes, from->bytes);
    estimate_add(&to->blocks, from->blocks);
    to->records += from->records;
    if (from->first_ticks && (!to->first_ticks || from->first_ticks < to->first_ticks))
        to->first_ticks = from->first_ticks;
    if (from->last_ticks > to->last_ticks)
        to->last_ticks = from->last_ticks;
}

static struct leaks_sums *sums_of(struct leaks *leaks, uint32_t stack)
{
    bool inserted;
    uint64_t index = *table_insert(&leaks->index_of_stack, stack, 0, leaks->stack_count, &inserted);
    if (inserted) {
        leaks->stacks = memory_grow(leaks->stacks, leaks->stack_count, &leaks->stack_capacity,
                                    sizeof *leaks->stacks);
        leaks->stacks[leaks->stack_count++] = (struct leaks_stack){.stack = stack};
    }
    return &leaks->stacks[index].sums;
}

static struct leaks_sums block_sums(const struct live_block *block)
{
    struct leaks_sums sums = {
        .records = 1, .first_ticks = block->ticks, .last_ticks = block->ticks};
    estimate_add_sample(&sums.bytes, (double)block->weight, (double)block->size);
    estimate_add_sample(&sums.blocks, (double)block->weight, 1);
    return sums;
}

/* What is not there any more: of the difference of two estimates the errors add up. */
static void subtract_value(struct estimate *from, struct estimate what)
{
    from->value -= what.value;
    from->variance += what.variance;
}

/* A block counted once more than it should be: it takes its error back with it. */
static void take_back(struct estimate *from, struct estimate what)
{
    from->value += what.value;
    from->variance -= what.variance;
}

/* ---- one moment, and an earlier one ---------------------------------------------------------- */

static bool asked(const struct leaks_query *query, const struct live_block *block)
{
    return block->owner != LIVE_NOT_ASKED && block->ticks >= query->since &&
           block->ticks <= query->before;
}

/* What is live at the earlier moment counts less than nothing, unless it is still live later. */
static void subtract_live(struct leaks *leaks, const struct leaks_query *query,
                          uint64_t certain_since)
{
    const struct live_block *block;
    for (size_t position = 0; (block = live_next(&leaks->live, &position));) {
        if (!asked(query, block) || block->ticks < certain_since)
            continue;
        struct leaks_sums one = block_sums(block), *sums = sums_of(leaks, block->owner);
        subtract_value(&sums->bytes, one.bytes);
        subtract_value(&sums->blocks, one.blocks);
    }
}

static void add_live(struct leaks *leaks, const struct leaks_query *query, uint64_t certain_since)
{
    const struct live_block *block;
    for (size_t position = 0; (block = live_next(&leaks->live, &position));) {
        if (!asked(query, block))
            continue;
        struct leaks_sums one = block_sums(block), *sums = sums_of(leaks, block->owner);
        if (block->ticks < certain_since) {
            leaks_sums_add(&leaks->uncertain, &one);
        } else if (query->from && block->ticks <= query->from) {
            take_back(&sums->bytes, one.bytes);
            take_back(&sums->blocks, one.blocks);
        } else {
            leaks_sums_add(sums, &one);
        }
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_until(const struct malloctap_recording *recording, uint64_t from, uint64_t until,
                      const struct thread_filter *thread, struct leaks *leaks,
                      struct malloctap_error *error)
{
    struct malloctap_merge *merge;
    struct malloctap_event event;
    struct malloctap_error damage;
    int status;
    if (malloctap_merge_open(recording, from, until, &merge, error) < 0)
        return -1;
    while ((status = malloctap_merge_next(merge, &event, &damage)) != 0) {
        if (status > 0)
            live_event(&leaks->live, &event,
                       thread_filter_passes(thread, &event) ? event.record->stack : LIVE_NOT_ASKED);
        else if (leaks->damaged++ == 0)
            leaks->first_damage = damage;
    }
    malloctap_merge_close(merge);
    live_settle(&leaks->live);
    return 0;
}

int leaks_read(const struct malloctap_recording *recording, struct leaks_query query,
               struct leaks *ret, struct malloctap_error *error)
{
    uint64_t certain_since = malloctap_recording_header(recording)->overwritten_until, next = 0;
    struct thread_filter thread = thread_filter(recording, query.tid);
    int status = 0;
    *ret = (struct leaks){0};
    if (query.from) {
        status = read_until(recording, 0, query.from, &thread, ret, error);
        subtract_live(ret, &query, certain_since);
        next = query.from + 1;
    }
    if (!status)
        status = read_until(recording, next, query.at, &thread, ret, error);
    thread_filter_deinit(&thread);
    if (status < 0) {
        leaks_deinit(ret);
        return -1;
    }
    add_live(ret, &query, certain_since);
    live_release(&ret->live);
    for (size_t i = 0; i < ret->stack_count; i++)
        leaks_sums_add(&ret->all, &ret->stacks[i].sums);
    return 0;
}

void leaks_deinit(struct leaks *leaks)
{
    live_deinit(&leaks->live);
    free(leaks->stacks);
    table_deinit(&leaks->index_of_stack);
    *leaks = (struct leaks){0};
}
