/* SPDX-License-Identifier: MIT */
/*
 * statistics.h - small-sample statistics for comparing runs.
 *
 * Pure functions of their arguments: no state, no clock, no global random numbers. Inputs are not
 * modified and need not be sorted. A result that does not exist (no values, no memory for a copy)
 * is NaN. Thread-safe.
 */
#ifndef ANALYZE_STATISTICS_H
#define ANALYZE_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

/* A two-sided interval; both ends NaN where there is none. */
struct statistics_interval {
    double low;
    double high;
};

double statistics_mean(const double *values, size_t count);

/* Standard error of the mean: the sample deviation (n - 1) over sqrt(n). NaN below two values. */
double statistics_stderr(const double *values, size_t count);

/* The middle value, or the mean of the two middle ones. */
double statistics_median(const double *values, size_t count);

/* Quantile `q` in 0...1, linear between order statistics (the definition R calls type 7). */
double statistics_quantile(const double *values, size_t count, double q);

/*
 * 95 % bootstrap interval (percentile method) of the median. The same values and seed give the same
 * interval. NaN below two values. With fewer than about six values it is narrower than it should
 * be: the extremes of a handful of runs do not span what the next runs can do. Use the rank test
 * beside it before claiming a difference.
 */
struct statistics_interval statistics_median_interval(const double *values, size_t count,
                                                      uint64_t seed);

/* median(b) - median(a), with its 95 % bootstrap interval, each side resampled on its own. */
struct statistics_difference {
    double difference;
    struct statistics_interval interval;
};
struct statistics_difference statistics_median_difference(const double *a, size_t a_count,
                                                          const double *b, size_t b_count,
                                                          uint64_t seed);

/*
 * Mann-Whitney rank test: the two-sided probability of ranks at least this different if both sides
 * were drawn from one distribution. Exact for up to 50 values in all without ties; otherwise the
 * normal approximation, corrected for ties and continuity. 1 where a side is empty or all values
 * are equal. Three values a side can never give less than 0.1, four never less than 0.029.
 */
double statistics_rank_test(const double *a, size_t a_count, const double *b, size_t b_count);

#endif
