/* SPDX-License-Identifier: MIT */
/*
 * statistics.h - small-sample statistics for comparing runs.
 *
 * Pure functions of their arguments: no state, no clock, no global random numbers. Inputs are not
 * modified and need not be sorted. Thread-safe. docs/COMPARE.md says why these and no others.
 *
 * Where two series are compared they come in rounds: a[i] and b[i] were measured next to each
 * other. NaN stands for a run that does not count; a result that does not exist is NaN too.
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

/* ---- one series ----------------------------------------------------------------------------- */

/* How many values are known. */
size_t statistics_known(const double *values, size_t count);

/* Of the known values, quantile `q` in 0...1, linear between order statistics (R's type 7). */
double statistics_quantile(const double *values, size_t count, double q);
double statistics_median(const double *values, size_t count);

/*
 * 95 % bootstrap interval of the median. Plain percentiles are too narrow for few values; they are
 * moved out as far as Student's distribution is wider than the normal one. It cannot reach beyond
 * the smallest and the largest value, so it holds 95 % from six values on, 94 % with five, 88 %
 * with four. NaN below three. The same values and seed give the same interval.
 */
struct statistics_interval statistics_median_interval(const double *values, size_t count,
                                                      uint64_t seed);

/* ---- two series, in rounds ------------------------------------------------------------------ */

/*
 * median(b) - median(a) over the rounds in which both are known, with its 95 % bootstrap interval.
 * Whole rounds are resampled: what disturbed both sides of a round cancels.
 */
struct statistics_difference {
    double difference;
    struct statistics_interval interval;
};
struct statistics_difference statistics_median_difference(const double *a, const double *b,
                                                          size_t rounds, uint64_t seed);

/*
 * Two-sided probabilities of ranks at least this different if both sides were alike. Exact, ties
 * included, for up to 30 values in all; beyond it the normal approximation. 1 where nothing tells
 * the sides apart.
 *   rank_sum     Mann-Whitney: all values of one side against all of the other. Sharp for few
 * values and against runs that went astray; blind where the machine's speed wanders. signed_rank
 * Wilcoxon: the differences within the rounds. The other way round. rounds_test  the smaller of the
 * two, doubled for having had the choice.
 */
double statistics_rank_sum(const double *a, const double *b, size_t rounds);
double statistics_signed_rank(const double *a, const double *b, size_t rounds);
double statistics_rounds_test(const double *a, const double *b, size_t rounds);

/* The least that rounds_test can give for so many rounds. */
double statistics_rounds_test_least(size_t rounds);

/*
 * About how many rounds it takes until rounds_test finds a true difference of `difference` below
 * `level` four times out of five: by drawing rounds from these, moved apart so far. 0: more than
 * STATISTICS_ROUNDS_MAX, or nothing is known.
 */
enum { STATISTICS_ROUNDS_MAX = 1000 };
size_t statistics_rounds_needed(const double *a, const double *b, size_t rounds, double difference,
                                double level);

/* ---- many questions ------------------------------------------------------------------------- */

/*
 * Holm's correction: replace each probability by one that may be held against the level of all the
 * questions together. NaN: a question that cannot be asked, and does not count.
 */
void statistics_holm(double *probabilities, size_t count);

#endif
