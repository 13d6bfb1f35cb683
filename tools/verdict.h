/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - from the runs under several backends to what may be said of them.
 *
 * A difference is claimed only when two judges agree: the 95 % bootstrap interval of the difference
 * of medians excludes zero, and the rank test gives it less than VERDICT_LEVEL. The level is that
 * of two questions asked at once (time and memory) with 5 % for being wrong on either.
 */
#ifndef TOOLS_VERDICT_H
#define TOOLS_VERDICT_H

#include "measures.h"

#include <statistics.h>

#include <stdbool.h>
#include <stddef.h>

#define VERDICT_LEVEL 0.025

/* Fewer runs a side can never reach that level in the rank test. */
enum { VERDICT_RUNS_MIN = 5 };

/* The runs under one backend that count. */
struct verdict_sample {
    const char *name;
    const struct measures *runs;
    size_t count;
};

/* One measure of one backend, and against the first one. NaN: unknown. */
struct verdict_measure {
    double median;
    struct statistics_interval interval;
    struct statistics_difference difference;
    double share;       /* difference over the first backend's median */
    double probability; /* of ranks this different by chance */
    bool differs;
};

struct verdict {
    struct verdict_measure measures[MEASURES];
    size_t runs_needed; /* about, a side, to see a wall time as different as the one measured; 0:
                           none are, or no number would help */
    char text[512];     /* time against memory, in words; "" for the first backend */
};

/* `first` is what it is compared with; may be `sample` itself. */
void verdict_reach(const struct verdict_sample *first, const struct verdict_sample *sample,
                   struct verdict *ret);

#endif
