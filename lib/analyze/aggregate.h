/* SPDX-License-Identifier: MIT */
/*
 * aggregate.h - a recording's samples, summed by stack and by thread in one pass.
 *
 * Memory grows with the number of distinct stacks and of live blocks, not with that of records.
 */
#ifndef ANALYZE_AGGREGATE_H
#define ANALYZE_AGGREGATE_H

#include "estimate.h"
#include "table.h"

#include <malloctap/reader.h>

/* Which calls to look at. */
struct aggregate_query {
    uint32_t ops; /* bits, 1 << enum malloctap_op */
    uint32_t tid; /* 0: all threads */
    bool live;    /* find out which blocks were never freed: memory for each that is live */
};

#define AGGREGATE_OPS_ALLOC ((1u << MALLOCTAP_OPS_ALLOC) - 1)
#define AGGREGATE_OPS_FREE (1u << MALLOCTAP_OP_FREE)

struct aggregate_sums {
    uint64_t samples;
    struct estimate calls;
    struct estimate bytes;      /* requested, by calls that did not fail */
    struct estimate live_bytes; /* of these, not freed by the end of the recording */
    struct estimate live_blocks;
    struct estimate time_ns; /* inside the allocator */
    struct estimate wait_ns; /* of this, not running */
};

struct aggregate_stack {
    uint32_t stack; /* id in the depot; 0: the stack was not recorded */
    struct aggregate_sums sums;
};

struct aggregate_thread {
    uint64_t thread; /* malloctap_thread_slot.thread */
    struct aggregate_sums sums;
};

struct aggregate {
    struct aggregate_stack *stacks; /* in order of first appearance */
    size_t stack_count;
    struct aggregate_thread *threads;
    size_t thread_count;
    struct aggregate_sums all;
    uint64_t probed;    /* samples that have a time; 0: time and wait are unknown */
    uint64_t untracked; /* blocks whose end would not have been recorded; not among the live */
    uint64_t damaged;   /* chunks that could not be read to their end */
    struct malloctap_error first_damage;

    struct table index_of_stack;
    struct table index_of_thread;
    size_t stack_capacity;
    size_t thread_capacity;
};

/* Returns 0, or -1 with `error` set when no record can be read. Damaged chunks are counted. */
int aggregate_read(const struct malloctap_recording *recording, struct aggregate_query query,
                   struct aggregate *ret, struct malloctap_error *error);
void aggregate_deinit(struct aggregate *aggregate);

/* The sums of one thread; NULL: none of its calls was sampled. */
const struct aggregate_sums *aggregate_thread(const struct aggregate *aggregate, uint64_t thread);

void aggregate_sums_add(struct aggregate_sums *to, const struct aggregate_sums *from);

/* The exact number of calls that a query asks about, and of bytes they requested: from the
 * counters, not from samples. */
struct aggregate_exact {
    uint64_t calls;
    uint64_t bytes;
};
struct aggregate_exact aggregate_exact(const struct malloctap_recording *recording,
                                       struct aggregate_query query);

#endif
