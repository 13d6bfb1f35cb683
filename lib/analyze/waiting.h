/* SPDX-License-Identifier: MIT */
/*
 * waiting.h - how long threads waited in the allocator, estimated from sampled calls, with an
 * interval that holds also when few of them waited.
 *
 * Waits are few and unequal: one sample in hundreds has waited, and one in hundreds of these as
 * long as all others together. The normal interval (two standard errors either way) is then too
 * narrow and ends below zero. docs/PROBES.md has the mathematics of this one and how often it
 * holds.
 */
#ifndef ANALYZE_WAITING_H
#define ANALYZE_WAITING_H

#include "statistics.h"

#include <malloctap/recording.h>

#include <stdint.h>

/* Sums over samples; valid when zero. Those of disjoint sets of calls can be added. */
struct waiting {
    uint64_t classed;  /* samples of which it is known whether they waited */
    uint64_t blocked;  /* of these, those that did */
    double seen_ns;    /* waited in the sampled calls themselves */
    double unseen_ns;  /* in the calls that they stand for beside themselves: weight - 1 each */
    double variance;   /* of the sum of both */
    double largest_ns; /* most that one more wait may be expected to add to unseen_ns */
    double unwatched;  /* calls of which only those drawn are known: sum of weights, */
    double unwatched_squares; /* and of their squares */
    double largest_weight;    /* of a classed sample */
};

void waiting_add_sample(struct waiting *to, const struct malloctap_sample *sample);
void waiting_add(struct waiting *to, const struct waiting *from);

/* The estimate: unbiased for every set of calls. */
double waiting_ns(const struct waiting *waiting);

/* 95 % interval around it. Where no sample waited the upper end is infinite: a single unseen wait
 * may have been of any length; see waiting_calls_limit(). */
struct statistics_interval waiting_interval(const struct waiting *waiting);

/* Where no sample waited: with 95 % confidence no more calls than this did. */
double waiting_calls_limit(const struct waiting *waiting);

#endif
