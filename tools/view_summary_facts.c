/* SPDX-License-Identifier: MIT */
#include "view_summary_facts.h"

#include "view_counters.h"

#include <math.h>

enum { HOTTEST = 5, HOTTEST_FRAMES = 8 };

/* Of threads that were summed up into one row no lifetime is known; both sides leave them out. */
static void read_shares(struct summary *summary)
{
    struct estimate time_ns = {0}, wait_ns = {0};
    uint64_t lifetimes_ns = 0, off_ns = 0;
    for (size_t i = 0; i < summary->threads.count; i++) {
        const struct view_thread *thread = &summary->threads.rows[i];
        estimate_add(&time_ns, thread->cost.time_ns);
        estimate_add(&wait_ns, thread->cost.wait_ns);
        lifetimes_ns += thread->lifetime_ns;
        off_ns += thread->off_ns;
    }
    const struct view_cost *cost = &summary->threads.total_cost;
    summary->allocator_share = view_share(time_ns, cost->samples, lifetimes_ns);
    summary->wait_share = view_share(wait_ns, cost->classed, lifetimes_ns);
    summary->off_share = (double)off_ns / (double)lifetimes_ns;
    summary->off_ns = summary->threads.exited ? INFINITY : (double)off_ns;
}

/* NaN stays. */
static double at_most(double value, double most)
{
    return value > most ? most : value;
}

/* `range`: of the interval, as multiples of the estimate. The more that exceeds what is possible,
 * the more does its lower end: sampled calls then waited more than others because they were probed.
 */
static struct waited waited(double estimate, struct statistics_interval range, double most)
{
    double excess = fmax(1, estimate / most);
    return (struct waited){at_most(estimate, most), estimate * range.low / (excess * excess),
                           at_most(estimate * range.high, most)};
}

static const struct view_stacks_query hottest_query = {
    .calls = {.ops = AGGREGATE_OPS_ALLOC},
    .op = "malloc",
    .ranking = {.by = RANKING_BY_CALLS, .depth = HOTTEST_FRAMES},
    .rows_max = HOTTEST,
};

static const struct view_stacks_query cost_query = {
    .calls = {.ops = AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE},
    .op = "all",
    .ranking = {.by = RANKING_BY_WAIT, .callers = true},
};

/* Where the waiting is, of calls of any kind, and how well it is known. */
static void read_cost(struct summary *summary)
{
    struct malloctap_error unknown;
    const struct view_cost *cost = &summary->threads.total_cost;
    struct statistics_interval range = {NAN, NAN};
    summary->waited_share = waited(summary->wait_share.value, range, summary->off_share);
    summary->waited_ns = waited(cost->classed ? cost->wait_ns.value : NAN, range, summary->off_ns);
    if (!cost->classed ||
        view_stacks_create(summary->recording, cost_query, &summary->cost, &unknown) < 0)
        return;
    summary->has_cost = true;
    summary->wait_function = ranking_common_function(&summary->cost.ranking, RANKING_BY_WAIT,
                                                     summary->cost.aggregate.all.wait_ns.value);
    const struct waiting *waiting = &summary->cost.aggregate.waiting;
    double estimate = waiting_ns(waiting);
    struct statistics_interval interval = waiting_interval(waiting);
    if (estimate <= 0)
        return;
    range = (struct statistics_interval){interval.low / estimate, interval.high / estimate};
    summary->waited_share = waited(summary->wait_share.value, range, summary->off_share);
    summary->waited_ns = waited(cost->wait_ns.value, range, summary->off_ns);
}

void summary_create(struct malloctap_recording *recording, struct summary *ret)
{
    *ret = (struct summary){.recording = recording};
    view_threads_create(recording, &ret->threads);
    ret->header = malloctap_recording_header(recording);
    ret->duration_ns = malloctap_recording_duration_ns(recording);
    ret->calls_per_second =
        ret->duration_ns ? (double)view_calls(&ret->threads.totals) * 1e9 / (double)ret->duration_ns
                         : NAN;
    ret->has_hottest =
        view_stacks_create(recording, hottest_query, &ret->hottest, &ret->no_hottest) == 0;
    read_shares(ret);
    read_cost(ret);
    footprints_read(recording, &ret->memory);
    view_locks_create(recording, &ret->locks);
}

void summary_destroy(struct summary *summary)
{
    if (summary->has_hottest)
        view_stacks_destroy(&summary->hottest);
    if (summary->has_cost)
        view_stacks_destroy(&summary->cost);
    view_locks_destroy(&summary->locks);
    view_threads_destroy(&summary->threads);
}
