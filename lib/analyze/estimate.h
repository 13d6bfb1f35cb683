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

/*
 * The weight that a call of 0 bytes would have had where one of `size` bytes had `weight`, when a
 * call costs `call_units` beside its bytes; 0 where the weight does not tell, as such a call is
 * always sampled. So many calls may have gone unseen for each that was seen.
 */
static inline double estimate_least_call_weight(double weight, double size, double call_units)
{
    double distance =
        -log1p(-1 / weight); /* the call's cost, in means of what lies between samples */
    double least = distance * call_units / (call_units + size);
    return weight > 1 && least > 0 ? -1 / expm1(-least) : 0;
}

/* One standard error. 0 for a call that is always sampled: nothing is estimated then. */
static inline double estimate_stderr(struct estimate estimate)
{
    return sqrt(estimate.variance);
}

#endif
