/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - from the runs under several backends to what may be said of them.
 *
 * A difference is claimed only when two judges agree: the 95 % bootstrap interval of the difference
 * of medians excludes zero, and the rank tests, corrected for all the questions asked at once (time
 * and memory, of every backend), give it less than VERDICT_LEVEL. What explains the answers is
 * judged in the same way as a family of its own. docs/COMPARE.md says why.
 */
#ifndef TOOLS_VERDICT_H
#define TOOLS_VERDICT_H

#include "measures.h"

#include <statistics.h>

#include <stdbool.h>
#include <stddef.h>

#define VERDICT_LEVEL 0.05
#define VERDICT_SHARE_MIN 0.001 /* less is not called a difference, however sure it is */

/* The runs under one backend, a row a round. */
struct verdict_series {
    const char *name;
    const struct measures *rounds;
};

/* One measure of one backend, and against the first one. NaN: unknown. */
struct verdict_measure {
    double median;
    struct statistics_interval interval;
    struct statistics_difference difference;
    double share;       /* difference over the first backend's median */
    double probability; /* of ranks this different by chance */
    double corrected;   /* the same, for all the questions at once */
    bool differs;
};

/* Of the first backend only medians and intervals are known. */
struct verdict {
    const char *name;
    const char *against; /* the first backend; NULL: this is it */
    size_t runs;         /* that count */
    size_t rounds;       /* in which it and the first one count */
    size_t rounds_least; /* with fewer nothing can be claimed */
    struct verdict_measure measures[MEASURES];
    double needed_share;  /* a difference in time this large, of the first one's median ... */
    size_t rounds_needed; /* ... is seen in about so many rounds; 0: more than
                             STATISTICS_ROUNDS_MAX, or unknown */
};

/* So many rounds must be run to claim anything of `series` backends. */
size_t verdict_rounds_least(size_t series);

/* Where the difference may lie, as a share of the first one's median; not below -1, as the
 * resampled rounds may say where they vary much, but nothing takes less than no time. NaN: unknown.
 */
struct statistics_interval verdict_share_interval(const struct verdict_measure *measure);

/* One verdict a series; the first is what the others are compared with. */
void verdicts_reach(const struct verdict_series *series, size_t count, size_t rounds,
                    struct verdict *ret);

#endif
