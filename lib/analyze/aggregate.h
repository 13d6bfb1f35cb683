/* SPDX-License-Identifier: MIT */
/*
 * aggregate.h - a recording's samples and logged calls, summed by stack in one pass.
 *
 * Memory grows with the number of distinct stacks and of live blocks, not with that of records.
 */
#ifndef ANALYZE_AGGREGATE_H
#define ANALYZE_AGGREGATE_H

#include "estimate.h"
#include "table.h"
#include "waiting.h"

#include <malloctap/reader.h>

/* Which calls to look at. */
struct aggregate_query {
    uint32_t ops; /* bits, 1 << enum malloctap_op */
    uint32_t tid; /* 0: all threads */
    bool live;    /* find out which blocks were never freed: memory for each that is live */
    /* Only calls of this time, in nanoseconds from the recording's start, both included; 0 and 0:
     * all. */
    uint64_t since_ns;
    uint64_t until_ns;
};

#define AGGREGATE_OPS_ALLOC ((1u << MALLOCTAP_OPS_ALLOC) - 1)
#define AGGREGATE_OPS_FREE (1u << MALLOCTAP_OP_FREE)

struct aggregate_sums {
    uint64_t samples;
    struct estimate calls;
    struct estimate bytes;      /* requested, by calls that did not fail */
    struct estimate live_bytes; /* of these, not freed by the end of the recording */
    struct estimate live_blocks;
    struct estimate time_ns; /* inside the allocator, but for calls that were preempted there */
    struct estimate wait_ns; /* of this, not running */
    double timed;            /* the calls whose time that is: fewer than `calls` */
    uint64_t waited;         /* samples that waited */
    double least_weight; /* most that a call of 0 bytes stood for at these samples; 0: unknown */
};

struct aggregate_stack {
    uint32_t stack; /* id in the depot; 0: the stack was not recorded */
    struct aggregate_sums sums;
};

/* The calls that one thing happened to while they were in the allocator. */
struct aggregate_class {
    uint64_t samples;
    struct estimate calls;
    struct estimate time_ns;
};

struct aggregate {
    struct aggregate_stack *stacks; /* in order of first appearance */
    size_t stack_count;
    struct aggregate_sums all;
    struct aggregate_class classes[MALLOCTAP_PROBES]; /* NONE: of samples that were not probed */
    struct waiting waiting;
    uint64_t logged;      /* how many of the samples are calls in a log, every one of its time */
    uint64_t untracked;   /* blocks whose end would not have been recorded; not among the live */
    uint64_t live_logged; /* calls in a log that the live blocks follow from, of all threads */
    uint64_t damaged;     /* chunks that could not be read to their end */
    struct malloctap_error first_damage;
    /* The calls summed up are those from here on: later than asked where a bounded ring has
     * overwritten what was before, of which only some threads' records are left. */
    uint64_t since_ns;
    bool partial; /* not of the whole run: by the query, or by that */

    struct table index_of_stack;
    size_t stack_capacity;
};

/* Returns 0, or -1 with `error` set when no record can be read. Damaged chunks are counted. */
int aggregate_read(const struct malloctap_recording *recording, struct aggregate_query query,
                   struct aggregate *ret, struct malloctap_error *error);
/* The sums by stack go; the others stay. */
void aggregate_deinit(struct aggregate *aggregate);

/* Samples that have a time, and those of which it is known whether they waited. */
uint64_t aggregate_timed(const struct aggregate *aggregate);
uint64_t aggregate_classed(const struct aggregate *aggregate);

void aggregate_sums_add(struct aggregate_sums *to, const struct aggregate_sums *from);

/* The exact number of calls in the whole run that a query asks about, and of bytes they requested:
 * from the counters, not from samples. */
struct aggregate_exact {
    uint64_t calls;
    uint64_t bytes;
    bool known; /* or the thread's counters were summed up with those of others that have ended */
};
struct aggregate_exact aggregate_exact(const struct malloctap_recording *recording,
                                       struct aggregate_query query);

#endif
