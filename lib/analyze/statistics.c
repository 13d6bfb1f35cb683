/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 10000
#define EXACT_RANKS_MAX 50

static const struct statistics_interval no_interval = {NAN, NAN};

/* ---- order ------------------------------------------------------------------------------------
 */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
}

static double *sorted_copy(const double *values, size_t count)
{
    double *copy = count ? malloc(count * sizeof *copy) : NULL;
    if (copy) {
        memcpy(copy, values, count * sizeof *copy);
        sort(copy, count);
    }
    return copy;
}

static double quantile_of_sorted(const double *sorted, size_t count, double q)
{
    double place = q * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

double statistics_quantile(const double *values, size_t count, double q)
{
    double *sorted = sorted_copy(values, count);
    if (!sorted)
        return NAN;
    double quantile = quantile_of_sorted(sorted, count, q < 0 ? 0 : q > 1 ? 1 : q);
    free(sorted);
    return quantile;
}

double statistics_median(const double *values, size_t count)
{
    return statistics_quantile(values, count, 0.5);
}

/* ---- mean -------------------------------------------------------------------------------------
 */

double statistics_mean(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count ? sum / (double)count : NAN;
}

double statistics_stderr(const double *values, size_t count)
{
    if (count < 2)
        return NAN;
    double mean = statistics_mean(values, count), squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / (double)(count - 1) / (double)count);
}

/* ---- bootstrap --------------------------------------------------------------------------------
 */

/* splitmix64: a full-period generator whose whole state is the seed. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double resampled_median(const double *values, size_t count, double *scratch, uint64_t *state)
{
    for (size_t i = 0; i < count; i++)
        scratch[i] = values[(size_t)(((__uint128_t)next_random(state) * count) >> 64)];
    sort(scratch, count);
    return quantile_of_sorted(scratch, count, 0.5);
}

/* The interval of median(b) - median(a), or of median(b) alone when `a_count` is 0. */
static struct statistics_interval bootstrap(const double *a, size_t a_count, const double *b,
                                            size_t b_count, uint64_t seed)
{
    size_t largest = a_count > b_count ? a_count : b_count;
    double *medians = malloc((RESAMPLES + largest) * sizeof *medians);
    if (!medians)
        return no_interval;
    double *scratch = medians + RESAMPLES;
    for (size_t i = 0; i < RESAMPLES; i++) {
        medians[i] = resampled_median(b, b_count, scratch, &seed);
        if (a_count)
            medians[i] -= resampled_median(a, a_count, scratch, &seed);
    }
    sort(medians, RESAMPLES);
    struct statistics_interval interval = {quantile_of_sorted(medians, RESAMPLES, 0.025),
                                           quantile_of_sorted(medians, RESAMPLES, 0.975)};
    free(medians);
    return interval;
}

struct statistics_interval statistics_median_interval(const double *values, size_t count,
                                                      uint64_t seed)
{
    return count < 2 ? no_interval : bootstrap(NULL, 0, values, count, seed);
}

struct statistics_difference statistics_median_difference(const double *a, size_t a_count,
                                                          const double *b, size_t b_count,
                                                          uint64_t seed)
{
    struct statistics_difference result = {
        .difference = statistics_median(b, b_count) - statistics_median(a, a_count),
        .interval = no_interval,
    };
    if (a_count >= 2 && b_count >= 2)
        result.interval = bootstrap(a, a_count, b, b_count, seed);
    return result;
}

/* ---- rank test --------------------------------------------------------------------------------
 */

struct ranked {
    double value;
    bool of_a;
};

static int compare_ranked(const void *left, const void *right)
{
    return compare_doubles(&((const struct ranked *)left)->value,
                           &((const struct ranked *)right)->value);
}

/*
 * The number of ways to choose `a_count` of the ranks 1...n so that they sum to each possible value
 * is the textbook subset-sum recurrence: take rank r or leave it.
 */
static double exact_probability(double rank_sum, size_t a_count, size_t n)
{
    size_t sums = n * (n + 1) / 2 + 1;
    double *ways = calloc((a_count + 1) * sums, sizeof *ways);
    if (!ways)
        return NAN;
    ways[0] = 1;
    for (size_t rank = 1; rank <= n; rank++)
        for (size_t taken = rank < a_count ? rank : a_count; taken > 0; taken--)
            for (size_t sum = sums - 1; sum >= rank; sum--)
                ways[taken * sums + sum] += ways[(taken - 1) * sums + sum - rank];
    double low = 0, high = 0, all = 0;
    for (size_t sum = 0; sum < sums; sum++) {
        double count = ways[a_count * sums + sum];
        all += count;
        if ((double)sum <= rank_sum)
            low += count;
        if ((double)sum >= rank_sum)
            high += count;
    }
    free(ways);
    return fmin(1, 2 * fmin(low, high) / all);
}

static double normal_probability(double rank_sum, double a_count, double b_count, double ties)
{
    double n = a_count + b_count;
    double mean = a_count * (n + 1) / 2;
    double variance = a_count * b_count / 12 * (n + 1 - ties / (n * (n - 1)));
    if (variance <= 0)
        return 1;
    double distance = fmax(0, fabs(rank_sum - mean) - 0.5);
    return erfc(distance / sqrt(2 * variance));
}

double statistics_rank_test(const double *a, size_t a_count, const double *b, size_t b_count)
{
    size_t n = a_count + b_count;
    if (!a_count || !b_count)
        return 1;
    struct ranked *all = malloc(n * sizeof *all);
    if (!all)
        return NAN;
    for (size_t i = 0; i < n; i++)
        all[i] = (struct ranked){i < a_count ? a[i] : b[i - a_count], i < a_count};
    qsort(all, n, sizeof *all, compare_ranked);

    /* Equal values share the mean of their ranks; `ties` is the sum of t^3 - t over such groups. */
    double rank_sum = 0, ties = 0;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && !compare_ranked(&all[first], &all[end]);)
            end++;
        double t = (double)(end - first), rank = (double)(first + end + 1) / 2;
        ties += t * t * t - t;
        for (size_t i = first; i < end; i++)
            rank_sum += all[i].of_a ? rank : 0;
    }
    free(all);
    if (n <= EXACT_RANKS_MAX && ties == 0)
        return exact_probability(rank_sum, a_count, n);
    return normal_probability(rank_sum, (double)a_count, (double)b_count, ties);
}
