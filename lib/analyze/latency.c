/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <math.h>

/* Bounds of a bucket: it holds times from `lower` up to, but not including, `upper`. */
static double bucket_lower(unsigned bucket)
{
    return bucket < 16 ? bucket : ldexp(8 + bucket % 8, (int)(bucket / 8) - 1);
}

/* The time that a share of the calls did not exceed; within a bucket they are taken to be spread
 * evenly. */
static double quantile(const double buckets[MALLOCTAP_LATENCY_BUCKETS], double share,
                       double longest)
{
    double all = 0, below = 0;
    for (unsigned i = 0; i < MALLOCTAP_LATENCY_BUCKETS; i++)
        all += buckets[i];
    for (unsigned i = 0; i < MALLOCTAP_LATENCY_BUCKETS; i++) {
        if (buckets[i] <= 0 || below + buckets[i] < share * all) {
            below += buckets[i];
            continue;
        }
        double lower = bucket_lower(i);
        double upper = i + 1 < MALLOCTAP_LATENCY_BUCKETS ? bucket_lower(i + 1) : longest;
        double ns = lower + (upper - lower) * (share * all - below) / buckets[i];
        return ns < longest ? ns : longest;
    }
    return NAN;
}

static enum latency_trust trust(double samples, double share)
{
    enum { ROUGH = 1, KNOWN = 10 };
    double beyond = samples * (1 - share) * (1 + 1e-9); /* 1 - 0.9 is a little less than 0.1 */
    return beyond >= KNOWN ? LATENCY_KNOWN : beyond >= ROUGH ? LATENCY_ROUGH : LATENCY_UNKNOWN;
}

struct latency_op latency_read(const struct malloctap_latency *row, enum malloctap_op op)
{
    static const double shares[] = {
#define X(name, share) share,
        LATENCY_QUANTILES(X)
#undef X
    };
    struct latency_op read = {
        .samples = row->ops[op].samples,
        .time_ns = {row->ops[op].time_ns, row->ops[op].time_variance},
        .wait_ns = {row->ops[op].wait_ns, row->ops[op].wait_variance},
        .max_ns = row->ops[op].max_ns,
    };
    for (int class = 0; class < MALLOCTAP_PROBES; class ++)
        read.calls[class] = row->ops[op].weight[class];
    for (int i = 0; i < LATENCY_QUANTILES_SHOWN; i++) {
        read.trust[i] = trust((double)read.samples, shares[i]);
        read.quantile_ns[i] = read.trust[i] == LATENCY_UNKNOWN
                                  ? NAN
                                  : quantile(row->ops[op].buckets, shares[i], (double)read.max_ns);
    }
    return read;
}

bool latency_classed(const struct latency_op *calls)
{
    for (int class = 0; class < MALLOCTAP_PROBES; class ++)
        if (class != MALLOCTAP_PROBE_UNCLASSED && calls->calls[class] > 0)
            return true;
    return false;
}

void latency_merge(struct malloctap_latency *to, const struct malloctap_latency *from)
{
    for (int op = 0; op < MALLOCTAP_OPS; op++) {
        for (int class = 0; class < MALLOCTAP_PROBES; class ++)
            to->ops[op].weight[class] += from->ops[op].weight[class];
        to->ops[op].time_ns += from->ops[op].time_ns;
        to->ops[op].wait_ns += from->ops[op].wait_ns;
        to->ops[op].time_variance += from->ops[op].time_variance;
        to->ops[op].wait_variance += from->ops[op].wait_variance;
        to->ops[op].samples += from->ops[op].samples;
        if (to->ops[op].max_ns < from->ops[op].max_ns)
            to->ops[op].max_ns = from->ops[op].max_ns;
        for (unsigned i = 0; i < MALLOCTAP_LATENCY_BUCKETS; i++)
            to->ops[op].buckets[i] += from->ops[op].buckets[i];
    }
}
