/* SPDX-License-Identifier: MIT */
/*
 * estimate.h - a sum over all calls, estimated from the sampled ones, with its variance.
 *
 * Each call is sampled or not independently of all others, with a known probability p = 1 / weight.
 * Then sum(weight * x) over the samples is an unbiased estimate of the sum of x over all calls
 * (Horvitz-Thompson), and sum(weight * (weight - 1) * x^2) one of its variance. Estimates of
 * disjoint sets of calls add up, values and variances alike. docs/SAMPLING.md has the details.
 */
#ifndef ANALYZE_ESTIMATE_H
#define ANALYZE_ESTIMATE_H

#include <math.h>

struct estimate {
    double value;
    double variance;
};

static inline void estimate_add_sample(struct estimate *estimate, double weight, double x)
{
    estimate->value += weight * x;
    estimate->variance += weight * (weight - 1) * x * x;
}

static inline void estimate_add(struct estimate *to, struct estimate from)
{
    to->value += from.value;
    to->variance += from.variance;
}

/* One standard error. 0 for a call that is always sampled: nothing is estimated then. */
static inline double estimate_stderr(struct estimate estimate)
{
    return sqrt(estimate.variance);
}

#endif
