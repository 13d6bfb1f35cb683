/* SPDX-License-Identifier: MIT */
#include "view_summary_facts.h"

#include "view_counters.h"

#include <math.h>

enum { HOTTEST = 5, HOTTEST_FRAMES = 8 };

static void read_locks(struct summary *summary)
{
    static const char *const names[SUMMARY_LOCKS] = {"list", "cache", "oversize"};
    struct malloctap_lock_row row;
    for (int i = 0; i < SUMMARY_LOCKS; i++)
        summary->locks[i].name = names[i];
    for (uint64_t position = 0;
         malloctap_recording_next_lock(summary->recording, &position, &row);) {
        if (row.kind < MALLOCTAP_LOCK_PARENT || row.kind > MALLOCTAP_LOCK_OVERSIZE)
            continue;
        struct summary_lock *lock = &summary->locks[row.kind - MALLOCTAP_LOCK_PARENT];
        lock->acquisitions += row.acquisitions;
        lock->contended += row.contended;
        lock->wait_ns += row.wait_ns;
        if (lock->wait_max_ns < row.wait_max_ns)
            lock->wait_max_ns = row.wait_max_ns;
        lock->held_bytes += row.held_bytes;
        lock->in_use_bytes += row.in_use_bytes;
        lock->requested_bytes += row.requested_bytes;
        summary->has_locks = true;
    }
}

static struct estimate scaled(struct estimate estimate, double by)
{
    return (struct estimate){estimate.value * by, estimate.variance * by * by};
}

/* Of threads that were summed up into one row no lifetime is known; both sides leave them out. */
static void read_shares(struct summary *summary)
{
    struct aggregate_sums sampled = {0};
    double lifetimes = 0;
    for (size_t i = 0; i < summary->threads.count; i++) {
        aggregate_sums_add(&sampled, &summary->threads.rows[i].sampled);
        lifetimes += (double)summary->threads.rows[i].lifetime_ns;
    }
    double by = summary->threads.aggregate.probed && lifetimes > 0 ? 1 / lifetimes : NAN;
    summary->allocator_share = scaled(sampled.time_ns, by);
    summary->wait_share = scaled(sampled.wait_ns, by);
}

int summary_create(struct malloctap_recording *recording, struct summary *ret,
                   struct malloctap_error *error)
{
    const struct view_stacks_query hottest = {
        .calls = {.ops = AGGREGATE_OPS_ALLOC, .live = true},
        .op = "malloc",
        .ranking = {.by = RANKING_BY_CALLS, .depth = HOTTEST_FRAMES},
        .rows_max = HOTTEST,
    };
    *ret = (struct summary){.recording = recording};
    if (view_threads_create(recording, &ret->threads, error) < 0)
        return -1;
    ret->header = malloctap_recording_header(recording);
    ret->duration_ns = malloctap_recording_duration_ns(recording);
    ret->calls_per_second =
        ret->duration_ns ? (double)view_calls(&ret->threads.totals) * 1e9 / (double)ret->duration_ns
                         : NAN;
    ret->has_hottest = view_stacks_create(recording, hottest, &ret->hottest, &ret->no_hottest) == 0;
    read_shares(ret);
    read_locks(ret);
    return 0;
}

void summary_destroy(struct summary *summary)
{
    if (summary->has_hottest)
        view_stacks_destroy(&summary->hottest);
    view_threads_destroy(&summary->threads);
}
