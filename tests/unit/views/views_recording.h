/* SPDX-License-Identifier: MIT */
/* views_recording.h - one synthetic recording with something of everything that views show. */
#ifndef TESTS_VIEWS_RECORDING_H
#define TESTS_VIEWS_RECORDING_H

#include "recording_builder.h"

#include <malloctap/reader.h>

struct views_recording {
    struct recording_builder *builder;
    uint64_t main_thread;
    uint64_t worker;
    uint32_t load; /* stacks */
    uint32_t insert;
    struct malloctap_latency *folded; /* with probes: the row of threads that were summed up */
};

/* Two threads, two call paths through "app" and "libtable.so", neither of which is a file. */
struct views_recording views_recording_create(void);

/* Add what probes find: calls of every class, latencies, blocks' true sizes, resident memory. Of 20
 * allocations by the main thread, 10,000 calls each, one waited 450 us; the worker's 10 frees did
 * not. */
void views_recording_add_probes(struct views_recording *recording);

/* Write it, open it under a name that is the same on every machine. */
struct malloctap_recording *views_recording_open(struct recording_builder *builder);

#endif
