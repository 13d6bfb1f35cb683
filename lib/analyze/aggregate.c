/* SPDX-License-Identifier: MIT */
#include "aggregate.h"

#include "analyze_memory.h"
#include "live.h"

#include <stdlib.h>

#define NOT_ASKED SIZE_MAX /* owner of a live block that the query leaves out */

/* ---- sums -------------------------------------------------------------------------------------
 */

static size_t stack_index(struct aggregate *aggregate, uint32_t stack)
{
    bool inserted;
    uint64_t index =
        *table_insert(&aggregate->index_of_stack, stack, 0, aggregate->stack_count, &inserted);
    if (inserted) {
        aggregate->stacks = memory_grow(aggregate->stacks, aggregate->stack_count,
                                        &aggregate->stack_capacity, sizeof *aggregate->stacks);
        aggregate->stacks[aggregate->stack_count++] = (struct aggregate_stack){.stack = stack};
    }
    return index;
}

static struct aggregate_sums *thread_sums(struct aggregate *aggregate, uint64_t thread)
{
    bool inserted;
    uint64_t index =
        *table_insert(&aggregate->index_of_thread, thread, 0, aggregate->thread_count, &inserted);
    if (inserted) {
        aggregate->threads = memory_grow(aggregate->threads, aggregate->thread_count,
                                         &aggregate->thread_capacity, sizeof *aggregate->threads);
        aggregate->threads[aggregate->thread_count++] = (struct aggregate_thread){.thread = thread};
    }
    return &aggregate->threads[index].sums;
}

void aggregate_sums_add(struct aggregate_sums *to, const struct aggregate_sums *from)
{
    to->samples += from->samples;
    estimate_add(&to->calls, from->calls);
    estimate_add(&to->bytes, from->bytes);
    estimate_add(&to->live_bytes, from->live_bytes);
    estimate_add(&to->live_blocks, from->live_blocks);
    estimate_add(&to->time_ns, from->time_ns);
    estimate_add(&to->wait_ns, from->wait_ns);
}

/* ---- records ----------------------------------------------------------------------------------
 */

static struct aggregate_sums sample_sums(const struct malloctap_sample *sample)
{
    struct aggregate_sums sums = {.samples = 1};
    estimate_add_sample(&sums.calls, sample->weight, 1);
    if (!(sample->flags & MALLOCTAP_SAMPLE_FAILED))
        estimate_add_sample(&sums.bytes, sample->weight, (double)sample->size);
    if (sample->probe) {
        estimate_add_sample(&sums.time_ns, sample->weight, (double)sample->time_ns);
        estimate_add_sample(&sums.wait_ns, sample->weight, (double)sample->wait_ns);
    }
    return sums;
}

static void add_sample(struct aggregate *aggregate, struct live *live,
                       const struct aggregate_query *query, const struct malloctap_event *event)
{
    const struct malloctap_sample *sample = (const void *)event->record;
    bool asked = (!query->tid || query->tid == event->tid) && sample->head.op < MALLOCTAP_OPS &&
                 (query->ops >> sample->head.op & 1);
    size_t owner = NOT_ASKED;
    if (asked) {
        struct aggregate_sums sums = sample_sums(sample);
        owner = stack_index(aggregate, sample->head.stack);
        aggregate_sums_add(&aggregate->stacks[owner].sums, &sums);
        aggregate_sums_add(thread_sums(aggregate, event->thread), &sums);
        aggregate_sums_add(&aggregate->all, &sums);
        aggregate->probed += sample->probe != 0;
    }
    if (!query->live || sample->head.kind != MALLOCTAP_RECORD_ALLOC ||
        sample->flags & MALLOCTAP_SAMPLE_FAILED)
        return;
    if (sample->flags & MALLOCTAP_SAMPLE_UNTRACKED)
        aggregate->untracked += asked;
    else /* also what was not asked for: another thread's record may end it */
        live_allocated(live, sample->address, sample->ticks,
                       (struct live_block){owner, sample->weight, sample->size});
}

static void add_event(struct aggregate *aggregate, struct live *live,
                      const struct aggregate_query *query, const struct malloctap_event *event)
{
    switch (event->record->kind) {
    case MALLOCTAP_RECORD_ALLOC:
    case MALLOCTAP_RECORD_FREE:
        add_sample(aggregate, live, query, event);
        break;
    case MALLOCTAP_RECORD_FREED: {
        const struct malloctap_freed *freed = (const void *)event->record;
        if (query->live)
            live_freed(live, freed->address, freed->allocated_ticks);
        break;
    }
    }
}

/* Threads have no live sums: a block belongs to its stack, whoever frees it. */
static void add_live(struct aggregate *aggregate, const struct live *live)
{
    const struct live_block *block;
    for (size_t position = 0; (block = live_next(live, &position));) {
        if (block->owner == NOT_ASKED)
            continue;
        struct aggregate_sums sums = {0};
        estimate_add_sample(&sums.live_bytes, block->weight, (double)block->size);
        estimate_add_sample(&sums.live_blocks, block->weight, 1);
        aggregate_sums_add(&aggregate->stacks[block->owner].sums, &sums);
        aggregate_sums_add(&aggregate->all, &sums);
    }
}

int aggregate_read(const struct malloctap_recording *recording, struct aggregate_query query,
                   struct aggregate *ret, struct malloctap_error *error)
{
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    struct malloctap_error damage;
    struct live live = {0};
    int status;

    *ret = (struct aggregate){0};
    if (malloctap_cursor_open(recording, &cursor, error) < 0)
        return -1;
    while ((status = malloctap_cursor_next(cursor, &event, &damage)) != 0) {
        if (status > 0)
            add_event(ret, &live, &query, &event);
        else if (ret->damaged++ == 0)
            ret->first_damage = damage;
    }
    malloctap_cursor_close(cursor);
    add_live(ret, &live);
    live_deinit(&live);
    return 0;
}

void aggregate_deinit(struct aggregate *aggregate)
{
    free(aggregate->stacks);
    free(aggregate->threads);
    table_deinit(&aggregate->index_of_stack);
    table_deinit(&aggregate->index_of_thread);
    *aggregate = (struct aggregate){0};
}

const struct aggregate_sums *aggregate_thread(const struct aggregate *aggregate, uint64_t thread)
{
    const uint64_t *index = table_find(&aggregate->index_of_thread, thread, 0);
    return index ? &aggregate->threads[*index].sums : NULL;
}

/* ---- exact ------------------------------------------------------------------------------------
 */

static void add_counters(struct aggregate_exact *exact, uint32_t ops,
                         const struct malloctap_counters *counters)
{
    for (int op = 0; op < MALLOCTAP_OPS; op++) {
        if (!(ops >> op & 1))
            continue;
        exact->calls += malloctap_counters_calls(counters, (enum malloctap_op)op);
        if (op < MALLOCTAP_OPS_ALLOC)
            exact->bytes += counters->bytes[op];
    }
}

struct aggregate_exact aggregate_exact(const struct malloctap_recording *recording,
                                       struct aggregate_query query)
{
    struct aggregate_exact exact = {0};
    if (!query.tid) {
        struct malloctap_counters totals;
        malloctap_recording_totals(recording, &totals);
        add_counters(&exact, query.ops, &totals);
        return exact;
    }
    struct malloctap_thread_slot slot;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);)
        if (slot.tid == query.tid)
            add_counters(&exact, query.ops, &slot.counters);
    return exact;
}
