/* SPDX-License-Identifier: MIT */
/*
 * view_threads.h - a row per thread: exact counters, and what its calls cost as far as they were
 * probed; how long calls took, by operation. As text, JSON and CSV.
 */
#ifndef TOOLS_VIEW_THREADS_H
#define TOOLS_VIEW_THREADS_H

#include "emit.h"
#include "latency.h"
#include "view_locks.h"

#include <malloctap/reader.h>

/* What calls of one thread, or of several, cost. */
struct view_cost {
    struct latency_op ops[MALLOCTAP_OPS];
    uint64_t samples;        /* calls probed, of all operations; 0: nothing else is known */
    struct estimate time_ns; /* inside the allocator */
    struct estimate wait_ns;
    bool classed; /* it is known whether calls waited */
};

struct view_thread {
    struct malloctap_thread_slot slot;
    uint64_t calls;
    uint64_t lifetime_ns; /* from its first call to its end, or to that of the recording */
    uint64_t off_ns;      /* at most so much of it the thread was off its processor */
    struct view_cost cost;
};

struct view_threads {
    struct malloctap_recording *recording;
    struct view_thread *rows; /* those with the most calls first */
    size_t count;
    uint64_t exited; /* threads whose counters were summed up into one row */
    struct malloctap_counters exited_counters;
    struct view_cost exited_cost;
    struct malloctap_counters totals;
    struct view_cost total_cost;
    double probed_share; /* what probed calls stand for, of all: less where the mode was switched;
                            NaN where it was not */
    struct view_locks locks;        /* of an allocator that counts them */
    const struct view_thread *only; /* show the latencies of this thread; NULL: of all */
};

void view_threads_create(struct malloctap_recording *recording, struct view_threads *ret);
void view_threads_destroy(struct view_threads *view);

/* The first row of this number, or NULL. */
const struct view_thread *view_threads_find(const struct view_threads *view, uint32_t tid);

void view_threads_print(const struct view_threads *view, enum emit_format format, FILE *out);

void view_threads_print_text(const struct view_threads *view, FILE *out);
void view_threads_print_json(const struct view_threads *view, FILE *out);
void view_threads_print_csv(const struct view_threads *view, FILE *out);

/* Names of the rows of threads that have none of their own: those that ended and were summed up,
 * and those without counters. */
struct emit_text view_exited_name(const struct view_threads *view);
#define VIEW_UNSLOTTED_NAME "(without a slot)"

/* Says, where not all calls could be probed, that times are not those of all. */
void view_threads_print_probed(const struct view_threads *view, const char *indent, FILE *out);

/* A share of threads' time; NaN where it is not known. */
struct estimate view_share(struct estimate time_ns, bool known, uint64_t lifetime_ns);

/* A share as it is shown: an estimate may come out as more than there is. NaN stays. */
struct estimate view_at_most_all(struct estimate share);

double view_thread_rate(const struct view_thread *thread); /* calls a second; NaN: no lifetime */

#endif
