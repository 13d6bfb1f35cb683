/* SPDX-License-Identifier: MIT */
/* view_threads.h - the exact counters, a row per thread: as text, JSON and CSV. */
#ifndef TOOLS_VIEW_THREADS_H
#define TOOLS_VIEW_THREADS_H

#include "aggregate.h"
#include "emit.h"

struct view_thread {
    struct malloctap_thread_slot slot;
    uint64_t calls;
    uint64_t lifetime_ns; /* from its first call to its end, or to that of the recording */
    struct aggregate_sums sampled;
};

struct view_threads {
    struct malloctap_recording *recording;
    struct view_thread *rows; /* those with the most calls first */
    size_t count;
    uint64_t exited; /* threads whose counters were summed up into one row */
    struct malloctap_counters exited_counters;
    struct malloctap_counters totals;
    struct aggregate aggregate; /* all operations */
};

/* Returns 0, or -1 with `error` set. */
int view_threads_create(struct malloctap_recording *recording, struct view_threads *ret,
                        struct malloctap_error *error);
void view_threads_destroy(struct view_threads *view);

void view_threads_print(const struct view_threads *view, enum emit_format format, FILE *out);

#endif
