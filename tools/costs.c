/* SPDX-License-Identifier: MIT */
#include "costs.h"

#include <analyze_memory.h>
#include <latency.h>
#include <malloctap/reader.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

struct costs {
    double alloc_ns;
    double wait_ns;
    double alloc_thread_max_ns;
    uint64_t samples;
    bool classed; /* it is known whether calls waited */
    bool lost;    /* so many calls are missing that the sums are too small */
    /* of an allocator that counts its locks */
    double acquisitions;
    double contended;
    double lock_wait_ns;
    bool has_locks;
};

/* ---- time ----------------------------------------------------------------------------------- */

static void latency_take(struct costs *costs, const struct malloctap_latency *row)
{
    double alloc_ns = 0;
    for (int op = 0; op < MALLOCTAP_OPS; op++) {
        struct latency_op calls = latency_read(row, (enum malloctap_op)op);
        alloc_ns += calls.time_ns.value;
        costs->wait_ns += calls.wait_ns.value;
        costs->samples += calls.samples;
        costs->classed |= latency_classed(&calls);
    }
    costs->alloc_ns += alloc_ns;
    if (row->thread) /* not the sum of those that ended long ago */
        costs->alloc_thread_max_ns = fmax(costs->alloc_thread_max_ns, alloc_ns);
}

/* The lives of all threads; of those that ended long ago it is known only that they had one. And
 * what of it they were on their processors at least. */
struct lives {
    double ns, cpu_ns;
};

static struct lives lives_of(const struct malloctap_recording *recording, double duration_ns)
{
    struct malloctap_thread_slot thread;
    struct malloctap_counters exited;
    struct lives lives = {(double)malloctap_recording_exited(recording, &exited) * duration_ns, 0};
    for (uint64_t at = 0; malloctap_recording_next_thread(recording, &at, &thread);) {
        double birth = (double)malloctap_recording_ns(recording, thread.birth_ticks);
        double death = thread.death_ticks
                           ? (double)malloctap_recording_ns(recording, thread.death_ticks)
                           : duration_ns;
        lives.ns += fmax(0, death - birth);
        lives.cpu_ns += fmin(fmax(0, death - birth), (double)thread.cpu_ns);
    }
    return lives;
}

/*
 * The estimate of one process. It may come out at more than its threads have lived, or than they
 * were off their processors: the longest waits are few, and may be in the sample by chance. That
 * much cannot be; then all that is known is the limit.
 */
static void limit(struct costs *process, struct lives lives, double duration_ns)
{
    double by = process->alloc_ns > lives.ns ? lives.ns / process->alloc_ns : 1;
    double impossible = fmax(0, process->wait_ns * by - (lives.ns - lives.cpu_ns));
    process->alloc_ns = process->alloc_ns * by - impossible;
    process->wait_ns = process->wait_ns * by - impossible;
    process->alloc_thread_max_ns = fmin(process->alloc_thread_max_ns, duration_ns);
}

/* One call in a hundred that was not recorded is within what the estimates are worth anyway. */
static bool much_lost(const struct malloctap_recording *recording)
{
    struct malloctap_counters totals;
    malloctap_recording_totals(recording, &totals);
    return totals.samples_lost > totals.samples / 100 ||
           malloctap_recording_header(recording)->lost.threads_no_space > 0;
}

static void times_take(struct costs *costs, struct malloctap_recording *recording)
{
    struct malloctap_latency row;
    struct costs process = {0};
    double duration_ns = (double)malloctap_recording_duration_ns(recording);
    for (uint64_t at = 0; malloctap_recording_next_latency(recording, &at, &row);)
        latency_take(&process, &row);
    limit(&process, lives_of(recording, duration_ns), duration_ns);
    costs->alloc_ns += process.alloc_ns;
    costs->wait_ns += process.wait_ns;
    costs->alloc_thread_max_ns = fmax(costs->alloc_thread_max_ns, process.alloc_thread_max_ns);
    costs->samples += process.samples;
    costs->classed |= process.classed;
    costs->lost |= much_lost(recording);
}

/* From fewer samples than a handful a time can be anything; and to count only runs that happen to
 * have one would count those in which malloc took long. */
enum { SAMPLES_ENOUGH = 30 };

static void times_give(const struct costs *costs, struct measures *ret)
{
    bool known = costs->samples >= SAMPLES_ENOUGH && !costs->lost,
         classed = known && costs->classed;
    ret->value[MEASURE_alloc_ns] = known ? costs->alloc_ns : NAN;
    ret->value[MEASURE_wait_ns] = classed ? costs->wait_ns : NAN;
    ret->value[MEASURE_alloc_thread_max_ns] = known ? costs->alloc_thread_max_ns : NAN;
    double busy_ns = ret->value[MEASURE_cpu_ns] + (classed ? costs->wait_ns : 0);
    ret->value[MEASURE_alloc_share] = ret->value[MEASURE_alloc_ns] / busy_ns;
    ret->value[MEASURE_wait_share] = ret->value[MEASURE_wait_ns] / busy_ns;
}

/* ---- locks ---------------------------------------------------------------------------------- */

static void locks_take(struct costs *costs, const struct malloctap_recording *recording)
{
    struct malloctap_lock_row row;
    for (uint64_t at = 0; malloctap_recording_next_lock(recording, &at, &row);) {
        costs->has_locks = true;
        costs->acquisitions += (double)row.acquisitions;
        costs->contended += (double)row.contended;
        costs->lock_wait_ns += (double)row.wait_ns;
    }
}

static void locks_give(const struct costs *costs, struct measures *ret)
{
    ret->value[MEASURE_lock_acquisitions] = costs->has_locks ? costs->acquisitions : NAN;
    ret->value[MEASURE_lock_contended] = costs->has_locks ? costs->contended : NAN;
    ret->value[MEASURE_lock_wait_ns] = costs->has_locks ? costs->lock_wait_ns : NAN;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* A process with its peak, from its start to its end: its memory at any time was not more. */
struct change {
    uint64_t at_ns;
    double bytes;
};

static int by_time_then_larger(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    if (a->at_ns != b->at_ns)
        return a->at_ns < b->at_ns ? -1 : 1;
    return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

/* A process that was killed has not written its peak at the end; its samples have the peak so far.
 */
static double peak_take(struct malloctap_recording *recording)
{
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    double peak = (double)malloctap_recording_header(recording)->peak_rss_bytes;
    if (peak > 0 || malloctap_cursor_open(recording, &cursor, NULL))
        return peak;
    for (int more; (more = malloctap_cursor_next(cursor, &event, NULL)) != 0;) {
        const struct malloctap_sample *sample = (const struct malloctap_sample *)event.record;
        if (more > 0 && (event.record->kind == MALLOCTAP_RECORD_ALLOC ||
                         event.record->kind == MALLOCTAP_RECORD_FREE))
            peak = fmax(peak, (double)sample->peak_rss_kib * 1024);
    }
    malloctap_cursor_close(cursor);
    return peak;
}

/* NaN: of one process it is not known. */
static double largest_sum(struct change *changes, size_t count)
{
    double sum = 0, largest = 0;
    qsort(changes, count, sizeof *changes, by_time_then_larger);
    for (size_t i = 0; i < count; i++) {
        if (changes[i].bytes == 0)
            return NAN;
        sum += changes[i].bytes;
        largest = fmax(largest, sum);
    }
    return largest;
}

static double largest_of(const struct change *changes, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].bytes == 0)
            return NAN;
        largest = fmax(largest, changes[i].bytes);
    }
    return largest;
}

/*
 * Of a program that is smaller than what started it, the kernel does not tell the peak; its
 * processes do, but for their ends. All of them together held no less than one of them.
 */
static void memory_give(struct change *changes, size_t count, struct measures *ret)
{
    double together = largest_sum(changes, count), *peak = &ret->value[MEASURE_peak_rss_bytes];
    if (isnan(*peak))
        *peak = largest_of(changes, count);
    ret->value[MEASURE_tree_rss_bytes] = together < *peak ? *peak : together;
}

/* Executing another program begins a new recording of the same process. */
static size_t processes(const struct output_recordings *recordings)
{
    size_t count = 0;
    for (size_t i = 0; i < recordings->count; i++) {
        size_t same = 0;
        while (same < i && recordings->rows[same].pid != recordings->rows[i].pid)
            same++;
        count += same == i;
    }
    return count;
}

/* ---- all of a run --------------------------------------------------------------------------- */

bool costs_take(const struct output_recordings *recordings, struct measures *ret)
{
    struct costs costs = {0};
    struct change *changes = memory_zeroed(2 * recordings->count + 1, sizeof *changes);
    double calls = 0, bytes = 0;
    for (size_t i = 0; i < recordings->count; i++) {
        const struct output_recording *row = &recordings->rows[i];
        struct malloctap_recording *recording;
        calls += (double)row->calls;
        bytes += (double)row->bytes_requested;
        if (malloctap_recording_open(row->path, &recording, NULL)) {
            costs.lost = true;
            continue; /* with changes of 0 bytes: not known */
        }
        double peak = peak_take(recording);
        uint64_t end_ns = row->start_ns + malloctap_recording_duration_ns(recording);
        changes[2 * i] = (struct change){row->start_ns, peak};
        changes[2 * i + 1] = (struct change){end_ns, -peak};
        times_take(&costs, recording);
        locks_take(&costs, recording);
        malloctap_recording_close(recording);
    }
    times_give(&costs, ret);
    locks_give(&costs, ret);
    ret->value[MEASURE_calls] = calls;
    ret->value[MEASURE_bytes_requested] = bytes;
    ret->value[MEASURE_processes] = (double)processes(recordings);
    memory_give(changes, 2 * recordings->count, ret);
    free(changes);
    return costs.lost;
}
