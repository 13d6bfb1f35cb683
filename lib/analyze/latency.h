/* SPDX-License-Identifier: MIT */
/*
 * latency.h - how long calls took: quantiles and sums from a recording's latency histograms.
 *
 * The histograms cover the whole run, also where a bounded ring has overwritten its records.
 */
#ifndef ANALYZE_LATENCY_H
#define ANALYZE_LATENCY_H

#include "estimate.h"

#include <malloctap/recording.h>

#include <stdbool.h>

/* Quantiles shown: name, and the share of calls that took no longer. */
#define LATENCY_QUANTILES(X)                                                                       \
    X(p50, 0.5)                                                                                    \
    X(p90, 0.9)                                                                                    \
    X(p99, 0.99)                                                                                   \
    X(p999, 0.999)

enum latency_quantile {
#define X(name, share) LATENCY_##name,
    LATENCY_QUANTILES(X)
#undef X
        LATENCY_QUANTILES_SHOWN,
};

/* May a quantile be believed? It is as good as the number of samples that lie beyond it. */
enum latency_trust {
    LATENCY_UNKNOWN, /* less than one is to be expected there */
    LATENCY_ROUGH,   /* less than ten */
    LATENCY_KNOWN,
};

/* The calls of one operation. */
struct latency_op {
    uint64_t samples;               /* calls that were probed */
    double calls[MALLOCTAP_PROBES]; /* what they stand for, by what happened to them */
    struct estimate time_ns;        /* of all but the preempted ones */
    struct estimate wait_ns;
    double quantile_ns[LATENCY_QUANTILES_SHOWN];
    enum latency_trust trust[LATENCY_QUANTILES_SHOWN];
    uint64_t max_ns; /* the longest that was probed: a longer one may have gone unseen */
};

struct latency_op latency_read(const struct malloctap_latency *row, enum malloctap_op op);

/* Is it known of some of these calls whether they waited? */
bool latency_classed(const struct latency_op *calls);

/* Add a row of histograms to another. */
void latency_merge(struct malloctap_latency *to, const struct malloctap_latency *from);

#endif
