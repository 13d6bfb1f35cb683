/* SPDX-License-Identifier: MIT */
/*
 * thread_filter.h - the records of one thread, by its number.
 *
 * The kernel gives numbers out again. Where a thread of that number still has its counters, it is
 * the one that is meant, and not those before it, which have been summed up with others.
 */
#ifndef ANALYZE_THREAD_FILTER_H
#define ANALYZE_THREAD_FILTER_H

#include "table.h"

#include <malloctap/reader.h>

struct thread_filter {
    uint32_t tid;         /* 0: all threads */
    struct table threads; /* that have counters; empty: whoever had the number */
};

struct thread_filter thread_filter(const struct malloctap_recording *recording, uint32_t tid);
bool thread_filter_passes(const struct thread_filter *filter, const struct malloctap_event *event);
void thread_filter_deinit(struct thread_filter *filter);

#endif
