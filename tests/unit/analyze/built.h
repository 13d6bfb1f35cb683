/* SPDX-License-Identifier: MIT */
/* built.h - small synthetic recordings and their sums, for the tests of aggregate.h. */
#ifndef TESTS_BUILT_H
#define TESTS_BUILT_H

#include "aggregate.h"
#include "recording_builder.h"

/* A recording of nothing yet, by two threads on two stacks. */
struct built {
    struct recording_builder *builder;
    uint64_t first; /* threads */
    uint64_t second;
    uint32_t stack;
    uint32_t other_stack;
};

struct built built_create(void);

/* A sampled malloc; its address is its time, in ticks from the start. */
struct malloctap_sample built_sample(uint32_t stack, uint64_t address, uint64_t size,
                                     double weight);

/* Write what was built, sum it up, forget the rest. */
struct aggregate built_aggregate(struct recording_builder *builder, struct aggregate_query query);

/* The sums of a stack; zeros where there are none. */
const struct aggregate_sums *built_sums(const struct aggregate *aggregate, uint32_t stack);

#endif
