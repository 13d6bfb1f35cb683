/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include <math.h>
#include <stdbool.h>

#define NORMAL_975 1.959964 /* quantile of the standard normal distribution */
#define UNSEEN_95 2.995732  /* -ln 0.05: expected events of which none is seen once in 20 times */

/* The longest wait is more often among the many unseen calls than among the few sampled: allow for
 * one so many times as long as the longest seen. */
#define LONGER_UNSEEN 2

/* What the method itself may get wrong, whatever the number of samples: probing a call changes when
 * it comes, and what counts as waiting for it. Measured up to 17 %, see docs/PROBES.md. */
#define METHOD 1.2

/* Most that one unseen wait may be expected to add. A call that lost the processor may have held a
 * lock: then others waited all that time, few of them, and most likely in no sampled call. */
static double unseen_wait(const struct malloctap_sample *sample)
{
    bool preempted = sample->probe == MALLOCTAP_PROBE_PREEMPTED;
    double longest = preempted ? (double)sample->time_ns : LONGER_UNSEEN * (double)sample->wait_ns;
    return (sample->weight - 1) * longest;
}

void waiting_add_sample(struct waiting *to, const struct malloctap_sample *sample)
{
    if (sample->probe == MALLOCTAP_PROBE_NONE || sample->probe == MALLOCTAP_PROBE_UNCLASSED)
        return;
    double others = sample->weight - 1, wait = (double)sample->wait_ns;
    to->classed++;
    if (!(sample->flags & MALLOCTAP_SAMPLE_WATCHED)) {
        to->unwatched += sample->weight;
        to->unwatched_squares += sample->weight * sample->weight;
    }
    to->largest_weight = fmax(to->largest_weight, sample->weight);
    to->largest_ns = fmax(to->largest_ns, unseen_wait(sample));
    if (wait <= 0)
        return;
    to->blocked++;
    to->seen_ns += wait;
    to->unseen_ns += others * wait;
    to->variance += sample->weight * others * wait * wait;
}

void waiting_add(struct waiting *to, const struct waiting *from)
{
    to->classed += from->classed;
    to->blocked += from->blocked;
    to->seen_ns += from->seen_ns;
    to->unseen_ns += from->unseen_ns;
    to->variance += from->variance;
    to->largest_ns = fmax(to->largest_ns, from->largest_ns);
    to->unwatched += from->unwatched;
    to->unwatched_squares += from->unwatched_squares;
    to->largest_weight = fmax(to->largest_weight, from->largest_weight);
}

double waiting_ns(const struct waiting *waiting)
{
    return waiting->seen_ns + waiting->unseen_ns;
}

/* Quantile of a gamma distribution by its mean and variance (Wilson and Hilferty, 1931): good to a
 * few percent from shape 2 on. Below, the high quantile still is, and the low one comes out too
 * low, which makes the interval wider than it need be. */
static double gamma_quantile(double mean, double variance, double normal_quantile)
{
    double ninth = variance / (9 * mean * mean);
    double root = 1 - ninth + normal_quantile * sqrt(ninth);
    return root > 0 ? mean * root * root * root : 0;
}

/* Where the waits seen are all of calls that were watched, those of the others may have been
 * missed: one more would be a typical one, and stand for as many as a call among them does. */
static double unwatched_wait(const struct waiting *waiting)
{
    if (waiting->unwatched <= 0 || waiting->blocked == 0)
        return 0;
    double others = waiting->unwatched_squares / waiting->unwatched - 1;
    return others * waiting->seen_ns / (double)waiting->blocked;
}

/*
 * Fay and Feuer (1997): a weighted sum of Poisson counts lies between the quantiles of two gamma
 * distributions, that of the lower end with the sum's mean and variance, that of the upper end with
 * one more event added, the largest there may be. What the sampled calls themselves waited is
 * certain and only shifts it.
 */
struct statistics_interval waiting_interval(const struct waiting *waiting)
{
    double mean = waiting->unseen_ns, variance = waiting->variance;
    double more = fmax(waiting->largest_ns, unwatched_wait(waiting));
    struct statistics_interval interval = {waiting->seen_ns, waiting->seen_ns};
    if (waiting->blocked == 0)
        interval.high = INFINITY;
    if (mean > 0)
        interval.low += gamma_quantile(mean, variance, -NORMAL_975);
    if (more > 0 && waiting->blocked > 0) {
        interval.high += gamma_quantile(mean + more, variance + more * more, NORMAL_975);
    }
    return (struct statistics_interval){interval.low / METHOD, interval.high * METHOD};
}

double waiting_calls_limit(const struct waiting *waiting)
{
    /* So many that all of them are missed once in 20 times; none where every call is sampled. */
    return UNSEEN_95 / -log1p(-1 / waiting->largest_weight);
}
