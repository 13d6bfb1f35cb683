/* SPDX-License-Identifier: MIT */
#include "view_threads.h"

#include "analyze_memory.h"
#include "table.h"
#include "view_counters.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static int compare_threads(const void *left, const void *right)
{
    const struct view_thread *a = left, *b = right;
    if (a->calls != b->calls)
        return a->calls > b->calls ? -1 : 1;
    return (a->slot.thread > b->slot.thread) - (a->slot.thread < b->slot.thread);
}

static struct view_cost read_cost(const struct malloctap_latency *row)
{
    struct view_cost cost = {0};
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++) {
        cost.ops[op] = latency_read(row, op);
        cost.samples += cost.ops[op].samples;
        estimate_add(&cost.time_ns, cost.ops[op].time_ns);
        estimate_add(&cost.wait_ns, cost.ops[op].wait_ns);
        cost.classed |= latency_classed(&cost.ops[op]);
    }
    return cost;
}

static struct view_thread read_thread(const struct view_threads *view,
                                      const struct malloctap_thread_slot *slot)
{
    uint64_t birth = malloctap_recording_ns(view->recording, slot->birth_ticks);
    uint64_t end = slot->death_ticks ? malloctap_recording_ns(view->recording, slot->death_ticks)
                                     : malloctap_recording_duration_ns(view->recording);
    uint64_t lifetime_ns = end > birth ? end - birth : 0;
    static const struct malloctap_latency not_probed;
    return (struct view_thread){
        .slot = *slot,
        .calls = view_calls(&slot->counters),
        .lifetime_ns = lifetime_ns,
        .off_ns = lifetime_ns > slot->cpu_ns ? lifetime_ns - slot->cpu_ns : 0,
        .cost = read_cost(&not_probed),
    };
}

/* Rows of histograms go to their threads; what is of no thread that still has a slot, to those that
 * were summed up. */
static void read_costs(struct view_threads *view)
{
    struct malloctap_latency row, *total = memory_zeroed(1, sizeof *total),
                                  *exited = memory_zeroed(1, sizeof *exited);
    struct table index_of_thread = {0};
    for (size_t i = 0; i < view->count; i++) {
        bool inserted;
        table_insert(&index_of_thread, view->rows[i].slot.thread, 0, i, &inserted);
    }
    for (uint64_t position = 0;
         malloctap_recording_next_latency(view->recording, &position, &row);) {
        const uint64_t *index = table_find(&index_of_thread, row.thread, 0);
        latency_merge(total, &row);
        if (index)
            view->rows[*index].cost = read_cost(&row);
        else
            latency_merge(exited, &row);
    }
    view->total_cost = read_cost(total);
    view->exited_cost = read_cost(exited);
    table_deinit(&index_of_thread);
    free(total);
    free(exited);
}

static double probed_share(const struct view_threads *view)
{
    double probed = 0, calls = (double)view_calls(&view->totals);
    if (!malloctap_recording_switched(view->recording) || calls == 0)
        return NAN;
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++)
        for (int class = 0; class < MALLOCTAP_PROBES; class ++)
            probed += view->total_cost.ops[op].calls[class];
    return fmin(probed / calls, 1);
}

void view_threads_create(struct malloctap_recording *recording, struct view_threads *ret)
{
    struct malloctap_thread_slot slot;
    size_t capacity = 0;
    *ret = (struct view_threads){.recording = recording};
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);) {
        ret->rows = memory_grow(ret->rows, ret->count, &capacity, sizeof *ret->rows);
        ret->rows[ret->count++] = read_thread(ret, &slot);
    }
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof *ret->rows, compare_threads);
    ret->exited = malloctap_recording_exited(recording, &ret->exited_counters);
    malloctap_recording_totals(recording, &ret->totals);
    read_costs(ret);
    ret->probed_share = probed_share(ret);
    view_locks_create(recording, &ret->locks);
}

void view_threads_destroy(struct view_threads *view)
{
    view_locks_destroy(&view->locks);
    free(view->rows);
}

const struct view_thread *view_threads_find(const struct view_threads *view, uint32_t tid)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->rows[i].slot.tid == tid)
            return &view->rows[i];
    return NULL;
}

struct emit_text view_exited_name(const struct view_threads *view)
{
    struct emit_text name;
    snprintf(name.text, sizeof name.text, "(%" PRIu64 " more, exited)", view->exited);
    return name;
}

double view_thread_rate(const struct view_thread *thread)
{
    return thread->lifetime_ns ? (double)thread->calls * 1e9 / (double)thread->lifetime_ns : NAN;
}

struct estimate view_share(struct estimate time_ns, bool known, uint64_t lifetime_ns)
{
    double by = known && lifetime_ns ? 1 / (double)lifetime_ns : NAN;
    return (struct estimate){time_ns.value * by, time_ns.variance * by * by};
}

struct estimate view_at_most_all(struct estimate share)
{
    return (struct estimate){share.value > 1 ? 1 : share.value, share.variance};
}

void view_threads_print(const struct view_threads *view, enum emit_format format, FILE *out)
{
    switch (format) {
    case EMIT_TEXT:
        view_threads_print_text(view, out);
        break;
    case EMIT_JSON:
        view_threads_print_json(view, out);
        break;
    case EMIT_CSV:
        view_threads_print_csv(view, out);
        break;
    }
}
