/* SPDX-License-Identifier: MIT */
#include "aggregate.h"

#include "analyze_memory.h"
#include "live.h"
#include "thread_filter.h"

#include <stdlib.h>

/* ---- sums ------------------------------------------------------------------------------------ */

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

void aggregate_sums_add(struct aggregate_sums *to, const struct aggregate_sums *from)
{
    to->samples += from->samples;
    estimate_add(&to->calls, from->calls);
    estimate_add(&to->bytes, from->bytes);
    estimate_add(&to->live_bytes, from->live_bytes);
    estimate_add(&to->live_blocks, from->live_blocks);
    estimate_add(&to->time_ns, from->time_ns);
    estimate_add(&to->wait_ns, from->wait_ns);
    to->timed += from->timed;
    to->waited += from->waited;
    to->least_weight = fmax(to->least_weight, from->least_weight);
}

/* ---- records --------------------------------------------------------------------------------- */

/* One pass over the records. */
struct reading {
    const struct malloctap_recording *recording;
    struct aggregate_query query;
    struct aggregate *aggregate;
    struct thread_filter thread;
    double call_units;
    struct live live;
};

/* A call that lost the processor has no time of its own: it adds none, see docs/SAMPLING.md. */
static void add_sample(struct aggregate *aggregate, struct aggregate_sums *sums,
                       const struct malloctap_sample *sample, double call_units)
{
    struct aggregate_class *class =
        &aggregate->classes[sample->probe < MALLOCTAP_PROBES ? sample->probe : 0];
    double weight = sample->weight;
    double bytes = sample->head.op == MALLOCTAP_OP_FREE ? 0 : (double)sample->size;
    sums->least_weight =
        fmax(sums->least_weight, estimate_least_call_weight(weight, bytes, call_units));
    sums->samples++;
    class->samples++;
    estimate_add_sample(&sums->calls, weight, 1);
    estimate_add_sample(&class->calls, weight, 1);
    if (!(sample->flags & MALLOCTAP_SAMPLE_FAILED))
        estimate_add_sample(&sums->bytes, weight, (double)sample->size);
    waiting_add_sample(&aggregate->waiting, sample);
    if (sample->probe == MALLOCTAP_PROBE_NONE || sample->probe == MALLOCTAP_PROBE_PREEMPTED)
        return;
    estimate_add_sample(&sums->time_ns, weight, (double)sample->time_ns);
    estimate_add_sample(&class->time_ns, weight, (double)sample->time_ns);
    estimate_add_sample(&sums->wait_ns, weight, (double)sample->wait_ns);
    sums->timed += weight;
    sums->waited += sample->wait_ns > 0;
}

/* The same of a logged call, which stands for itself alone and was not timed: logs are long. */
static void add_logged(struct aggregate *aggregate, struct aggregate_sums *sums,
                       const struct malloctap_sample *sample)
{
    aggregate->logged++;
    sums->samples++;
    sums->calls.value++;
    if (!(sample->flags & MALLOCTAP_SAMPLE_FAILED))
        sums->bytes.value += (double)sample->size;
}

static bool in_window(const struct reading *reading, uint64_t ticks)
{
    if (!reading->aggregate->partial)
        return true;
    uint64_t ns = malloctap_recording_ns(reading->recording, ticks);
    return ns >= reading->aggregate->since_ns &&
           (!reading->query.until_ns || ns <= reading->query.until_ns);
}

/* Is it one of the calls that the query is about? The old block of a logged realloc is no call. */
static bool asked(const struct reading *reading, const struct malloctap_event *event)
{
    const struct malloctap_sample *sample = (const void *)event->record;
    bool call = sample->head.kind == MALLOCTAP_RECORD_ALLOC || sample->head.op == MALLOCTAP_OP_FREE;
    return call && (reading->query.ops >> sample->head.op & 1) &&
           thread_filter_passes(&reading->thread, event) && in_window(reading, sample->ticks);
}

static uint32_t add_call(struct reading *reading, const struct malloctap_event *event)
{
    struct aggregate *aggregate = reading->aggregate;
    const struct malloctap_sample *sample = (const void *)event->record;
    uint32_t owner = LIVE_NOT_ASKED;
    if (asked(reading, event)) {
        owner = (uint32_t)stack_index(aggregate, sample->head.stack);
        struct aggregate_sums *sums = &aggregate->stacks[owner].sums;
        if (event->logged)
            add_logged(aggregate, sums, sample);
        else
            add_sample(aggregate, sums, sample, reading->call_units);
    }
    return owner;
}

static void add_event(struct reading *reading, const struct malloctap_event *event)
{
    uint32_t owner = LIVE_NOT_ASKED;
    if (event->record->kind != MALLOCTAP_RECORD_FREED)
        owner = add_call(reading, event);
    if (reading->query.live) /* also what was not asked for: it may end a block that was */
        live_event(&reading->live, event, owner);
}

static void add_live(struct aggregate *aggregate, const struct live *live)
{
    const struct live_block *block;
    for (size_t position = 0; (block = live_next(live, &position));) {
        if (block->owner == LIVE_NOT_ASKED)
            continue;
        struct aggregate_sums *sums = &aggregate->stacks[block->owner].sums;
        estimate_add_sample(&sums->live_bytes, block->weight, (double)block->size);
        estimate_add_sample(&sums->live_blocks, block->weight, 1);
    }
}

static void begin(struct aggregate *aggregate, const struct malloctap_recording *recording,
                  const struct aggregate_query *query)
{
    uint64_t overwritten_until = malloctap_recording_header(recording)->overwritten_until;
    uint64_t complete_ns =
        overwritten_until ? malloctap_recording_ns(recording, overwritten_until) : 0;
    *aggregate = (struct aggregate){
        .since_ns = query->since_ns > complete_ns ? query->since_ns : complete_ns,
        .partial = query->since_ns || query->until_ns || overwritten_until,
    };
}

/* All events; in order of time only where it matters, because that is slower. */
struct source {
    struct malloctap_cursor *cursor;
    struct malloctap_merge *merge; /* else NULL */
};

static int source_open(const struct malloctap_recording *recording, bool ordered,
                       struct source *ret, struct malloctap_error *error)
{
    *ret = (struct source){0};
    return ordered ? malloctap_merge_open(recording, 0, UINT64_MAX, &ret->merge, error)
                   : malloctap_cursor_open(recording, &ret->cursor, error);
}

static int source_next(struct source *source, struct malloctap_event *ret,
                       struct malloctap_error *error)
{
    return source->merge ? malloctap_merge_next(source->merge, ret, error)
                         : malloctap_cursor_next(source->cursor, ret, error);
}

static void source_close(struct source *source)
{
    malloctap_merge_close(source->merge);
    malloctap_cursor_close(source->cursor);
}

int aggregate_read(const struct malloctap_recording *recording, struct aggregate_query query,
                   struct aggregate *ret, struct malloctap_error *error)
{
    struct reading reading = {
        .recording = recording,
        .query = query,
        .aggregate = ret,
        .thread = thread_filter(recording, query.tid),
        .call_units = (double)malloctap_recording_header(recording)->call_units,
    };
    struct source source;
    struct malloctap_event event;
    struct malloctap_error damage;
    int status;

    begin(ret, recording, &query);
    if (source_open(recording, query.live, &source, error) < 0) {
        thread_filter_deinit(&reading.thread);
        return -1;
    }
    while ((status = source_next(&source, &event, &damage)) != 0) {
        if (status > 0)
            add_event(&reading, &event);
        else if (ret->damaged++ == 0)
            ret->first_damage = damage;
    }
    source_close(&source);
    thread_filter_deinit(&reading.thread);
    live_settle(&reading.live);
    ret->untracked = reading.live.untracked;
    ret->live_logged = reading.live.logged;
    add_live(ret, &reading.live);
    live_deinit(&reading.live);
    for (size_t i = 0; i < ret->stack_count; i++)
        aggregate_sums_add(&ret->all, &ret->stacks[i].sums);
    return 0;
}

void aggregate_deinit(struct aggregate *aggregate)
{
    free(aggregate->stacks);
    table_deinit(&aggregate->index_of_stack);
    aggregate->stacks = NULL;
    aggregate->stack_count = aggregate->stack_capacity = 0;
}

uint64_t aggregate_timed(const struct aggregate *aggregate)
{
    return aggregate_classed(aggregate) + aggregate->classes[MALLOCTAP_PROBE_UNCLASSED].samples;
}

uint64_t aggregate_classed(const struct aggregate *aggregate)
{
    return aggregate->classes[MALLOCTAP_PROBE_FAST].samples +
           aggregate->classes[MALLOCTAP_PROBE_FAULTING].samples +
           aggregate->classes[MALLOCTAP_PROBE_BLOCKED].samples +
           aggregate->classes[MALLOCTAP_PROBE_PREEMPTED].samples;
}

/* ---- exact ----------------------------------------------------------------------------------- */

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
        exact.known = true;
        return exact;
    }
    struct malloctap_thread_slot slot;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);)
        if (slot.tid == query.tid) {
            add_counters(&exact, query.ops, &slot.counters);
            exact.known = true;
        }
    return exact;
}
