/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include "analyze_memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 10000, EXACT_MAX = 30, POWER_TRIALS = 100 };

static const struct statistics_interval no_interval = {NAN, NAN};

/* ---- order ---------------------------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
}

/* The known values, to be freed. */
static double *known_take(const double *values, size_t count, size_t *ret_count)
{
    double *known = memory_zeroed(count + 1, sizeof *known);
    *ret_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            known[(*ret_count)++] = values[i];
    return known;
}

size_t statistics_known(const double *values, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        known += !isnan(values[i]);
    return known;
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
    size_t known;
    double *sorted = known_take(values, count, &known);
    sort(sorted, known);
    double ret = known ? quantile_of_sorted(sorted, known, fmin(fmax(q, 0), 1)) : NAN;
    free(sorted);
    return ret;
}

double statistics_median(const double *values, size_t count)
{
    return statistics_quantile(values, count, 0.5);
}

/* The rounds in which both sides are known, as columns of one block: free `a`. */
struct pairs {
    double *a;
    double *b;
    size_t count;
};

static struct pairs pairs_take(const double *a, const double *b, size_t rounds)
{
    struct pairs pairs = {.a = memory_zeroed(2 * rounds + 1, sizeof(double))};
    pairs.b = pairs.a + rounds;
    for (size_t i = 0; i < rounds; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            continue;
        pairs.a[pairs.count] = a[i];
        pairs.b[pairs.count++] = b[i];
    }
    return pairs;
}

/* ---- normal distribution -------------------------------------------------------------------- */

static double normal_tail(double z)
{
    return erfc(z / M_SQRT2) / 2;
}

/* z with normal_tail(z) = tail; by halving, which is exact enough and cannot go astray. */
static double normal_tail_inverse(double tail)
{
    double low = -40, high = 40;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (normal_tail(middle) > tail)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- bootstrap ------------------------------------------------------------------------------ */

/* splitmix64: a full-period generator whose whole state is the seed. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t random_below(uint64_t *state, size_t count)
{
    return (size_t)(((__uint128_t)next_random(state) * count) >> 64);
}

/* Values in order, each with its place in the series. */
struct ordered {
    double value;
    size_t place;
};

static int compare_ordered(const void *left, const void *right)
{
    return compare_doubles(&((const struct ordered *)left)->value,
                           &((const struct ordered *)right)->value);
}

static struct ordered *ordered_take(const double *values, size_t count)
{
    struct ordered *ordered = memory_zeroed(count + 1, sizeof *ordered);
    for (size_t i = 0; i < count; i++)
        ordered[i] = (struct ordered){values[i], i};
    qsort(ordered, count, sizeof *ordered, compare_ordered);
    return ordered;
}

/* The median of the series in which the value at each place stands drawn[place] times. */
static double drawn_median(const struct ordered *ordered, const uint32_t *drawn, size_t count)
{
    size_t seen = 0, lower = (count - 1) / 2, upper = count / 2, i = 0;
    while ((seen += drawn[ordered[i].place]) <= lower)
        i++;
    double at_lower = ordered[i].value;
    while (seen <= upper)
        seen += drawn[ordered[++i].place];
    return (at_lower + ordered[i].value) / 2;
}

/*
 * What to leave out on each side of the bootstrap distribution for 95 %: 2.5 % for very many
 * values; for few, what the normal distribution has beyond Student's 2.5 % point, widened by
 * sqrt(n / (n - 1)) (T. Hesterberg, "What teachers should know about the bootstrap", 2015:
 * the expanded percentile interval). Student's point by its expansion around the normal one.
 */
static double tail_share(size_t count)
{
    double n = (double)count, v = n - 1, z = normal_tail_inverse(0.025), z3 = z * z * z;
    double t = z + (z3 + z) / (4 * v) + (5 * z3 * z * z + 16 * z3 + 3 * z) / (96 * v * v);
    return normal_tail(t * sqrt(n / v));
}

/* The interval of median(b) - median(a), or of median(b) alone when `a` is NULL. */
static struct statistics_interval bootstrap(const double *a, const double *b, size_t count,
                                            uint64_t seed)
{
    if (count < 3)
        return no_interval;
    struct ordered *of_a = a ? ordered_take(a, count) : NULL, *of_b = ordered_take(b, count);
    uint32_t *drawn = memory_zeroed(count, sizeof *drawn);
    double *medians = memory_zeroed(RESAMPLES, sizeof *medians), tail = tail_share(count);
    for (size_t i = 0; i < RESAMPLES; i++) {
        memset(drawn, 0, count * sizeof *drawn);
        for (size_t draw = 0; draw < count; draw++)
            drawn[random_below(&seed, count)]++;
        medians[i] = drawn_median(of_b, drawn, count) - (a ? drawn_median(of_a, drawn, count) : 0);
    }
    sort(medians, RESAMPLES);
    struct statistics_interval interval = {quantile_of_sorted(medians, RESAMPLES, tail),
                                           quantile_of_sorted(medians, RESAMPLES, 1 - tail)};
    free(medians);
    free(drawn);
    free(of_a);
    free(of_b);
    return interval;
}

struct statistics_interval statistics_median_interval(const double *values, size_t count,
                                                      uint64_t seed)
{
    size_t known_count;
    double *known = known_take(values, count, &known_count);
    struct statistics_interval interval = bootstrap(NULL, known, known_count, seed);
    free(known);
    return interval;
}

struct statistics_difference statistics_median_difference(const double *a, const double *b,
                                                          size_t rounds, uint64_t seed)
{
    struct pairs pairs = pairs_take(a, b, rounds);
    struct statistics_difference result = {
        .difference =
            statistics_median(pairs.b, pairs.count) - statistics_median(pairs.a, pairs.count),
        .interval = bootstrap(pairs.a, pairs.b, pairs.count, seed),
    };
    free(pairs.a);
    return result;
}

/* ---- rank tests ----------------------------------------------------------------------------- */

/*
 * Doubled ranks, so that equal values, which share the mean of their ranks, have whole numbers too.
 * `ties` is the sum of t^3 - t over groups of t equal values.
 */
struct ranks {
    uint32_t *doubled; /* in order of place */
    size_t count;
    double ties;
};

static struct ranks ranks_take(const double *values, size_t count)
{
    struct ranks ranks = {memory_zeroed(count + 1, sizeof(uint32_t)), count, 0};
    struct ordered *ordered = ordered_take(values, count);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && ordered[end].value <= ordered[first].value;)
            end++;
        double t = (double)(end - first);
        ranks.ties += t * t * t - t;
        for (size_t i = first; i < end; i++)
            ranks.doubled[ordered[i].place] = (uint32_t)(first + end + 1);
    }
    free(ordered);
    return ranks;
}

/* Both tails of `ways` at `sum`. */
static double both_tails(const double *ways, size_t sums, size_t sum)
{
    double low = 0, high = 0, all = 0;
    for (size_t i = 0; i < sums; i++) {
        all += ways[i];
        low += i <= sum ? ways[i] : 0;
        high += i >= sum ? ways[i] : 0;
    }
    return fmin(1, 2 * fmin(low, high) / all);
}

/*
 * In how many ways ranks can be chosen so that they have each sum: the textbook recurrence, every
 * way without this rank is one with it too. `to` may be `from`.
 */
static void ways_with(double *to, const double *from, size_t sums, uint32_t rank)
{
    for (size_t sum = sums; sum-- > rank;)
        to[sum] += from[sum - rank];
}

/* Of all choices of `taken` ranks. */
static double exact_rank_sum(const struct ranks *ranks, size_t taken, size_t sum)
{
    size_t sums = ranks->count * (ranks->count + 1) + 1;
    double *ways = memory_zeroed((taken + 1) * sums, sizeof *ways);
    ways[0] = 1;
    for (size_t i = 0; i < ranks->count; i++)
        for (size_t row = taken; row > 0; row--)
            ways_with(ways + row * sums, ways + (row - 1) * sums, sums, ranks->doubled[i]);
    double probability = both_tails(ways + taken * sums, sums, sum);
    free(ways);
    return probability;
}

/* Of all choices, of any number of ranks. */
static double exact_signed_rank(const struct ranks *ranks, size_t sum)
{
    size_t sums = ranks->count * (ranks->count + 1) + 1;
    double *ways = memory_zeroed(sums, sizeof *ways);
    ways[0] = 1;
    for (size_t i = 0; i < ranks->count; i++)
        ways_with(ways, ways, sums, ranks->doubled[i]);
    double probability = both_tails(ways, sums, sum);
    free(ways);
    return probability;
}

/* Neighbouring sums of doubled ranks are 2 apart: half of that is the correction for continuity. */
static double normal_probability(double sum, double mean, double variance)
{
    if (variance <= 0)
        return 1;
    return fmin(1, 2 * normal_tail(fmax(0, fabs(sum - mean) - 1) / sqrt(variance)));
}

double statistics_rank_sum(const double *a, const double *b, size_t rounds)
{
    size_t a_count, b_count;
    double *values = known_take(a, rounds, &a_count), *more = known_take(b, rounds, &b_count);
    double *all = memory_zeroed(a_count + b_count + 1, sizeof *all), probability = 1;
    memcpy(all, values, a_count * sizeof *all);
    memcpy(all + a_count, more, b_count * sizeof *all);
    struct ranks ranks = ranks_take(all, a_count + b_count);
    size_t sum = 0;
    for (size_t i = 0; i < a_count; i++)
        sum += ranks.doubled[i];
    double na = (double)a_count, nb = (double)b_count, n = na + nb;
    if (a_count && b_count && n <= EXACT_MAX)
        probability = exact_rank_sum(&ranks, a_count, sum);
    else if (a_count && b_count)
        probability = normal_probability((double)sum, na * (n + 1),
                                         na * nb / 3 * (n + 1 - ranks.ties / (n * (n - 1))));
    free(ranks.doubled);
    free(all);
    free(more);
    free(values);
    return probability;
}

double statistics_signed_rank(const double *a, const double *b, size_t rounds)
{
    struct pairs pairs = pairs_take(a, b, rounds);
    size_t count = 0, sum = 0; /* a round without difference says nothing for either side */
    for (size_t i = 0; i < pairs.count; i++) {
        double difference = pairs.b[i] - pairs.a[i];
        pairs.a[count] = fabs(difference);
        pairs.b[count] = difference;
        count += difference < 0 || difference > 0;
    }
    struct ranks ranks = ranks_take(pairs.a, count);
    for (size_t i = 0; i < count; i++)
        sum += pairs.b[i] > 0 ? ranks.doubled[i] : 0;
    double n = (double)count;
    double probability = count <= EXACT_MAX
                             ? exact_signed_rank(&ranks, sum)
                             : normal_probability((double)sum, n * (n + 1) / 2,
                                                  n * (n + 1) * (2 * n + 1) / 6 - ranks.ties / 12);
    free(ranks.doubled);
    free(pairs.a);
    return probability;
}

double statistics_rounds_test(const double *a, const double *b, size_t rounds)
{
    return fmin(1,
                2 * fmin(statistics_rank_sum(a, b, rounds), statistics_signed_rank(a, b, rounds)));
}

double statistics_rounds_test_least(size_t rounds)
{
    double n = (double)rounds; /* one way out of (2n over n), on either side, doubled */
    return fmin(1, 4 * exp(2 * lgamma(n + 1) - lgamma(2 * n + 1)));
}

/* ---- how many it takes ---------------------------------------------------------------------- */

/* How often so many rounds, drawn from these, are found different. */
static double power(const struct pairs *pairs, size_t rounds, double level)
{
    double *a = memory_zeroed(2 * rounds, sizeof *a), *b = a + rounds;
    uint64_t random = rounds;
    size_t found = 0;
    for (size_t trial = 0; trial < POWER_TRIALS; trial++) {
        for (size_t i = 0; i < rounds; i++) {
            size_t drawn = random_below(&random, pairs->count);
            a[i] = pairs->a[drawn];
            b[i] = pairs->b[drawn];
        }
        found += statistics_rounds_test(a, b, rounds) < level;
    }
    free(a);
    return (double)found / POWER_TRIALS;
}

size_t statistics_rounds_needed(const double *a, const double *b, size_t rounds, double difference,
                                double level)
{
    struct pairs pairs = pairs_take(a, b, rounds);
    double shift = difference - (statistics_median(pairs.b, pairs.count) -
                                 statistics_median(pairs.a, pairs.count));
    for (size_t i = 0; i < pairs.count; i++)
        pairs.b[i] += shift;
    size_t too_few = 0, enough = 1;
    while (pairs.count && enough <= STATISTICS_ROUNDS_MAX && power(&pairs, enough, level) < 0.8) {
        too_few = enough;
        enough *= 2;
    }
    while (pairs.count && enough - too_few > 1 && too_few < STATISTICS_ROUNDS_MAX) {
        size_t middle = (too_few + enough) / 2;
        if (power(&pairs, middle, level) < 0.8)
            too_few = middle;
        else
            enough = middle;
    }
    free(pairs.a);
    return pairs.count && enough <= STATISTICS_ROUNDS_MAX ? enough : 0;
}

/* ---- many questions ------------------------------------------------------------------------- */

void statistics_holm(double *probabilities, size_t count)
{
    size_t asked;
    double *known = known_take(probabilities, count, &asked), least = 0;
    struct ordered *ordered = ordered_take(known, asked);
    for (size_t i = 0; i < asked; i++) {
        least = fmax(least, fmin(1, (double)(asked - i) * ordered[i].value));
        known[ordered[i].place] = least;
    }
    for (size_t i = 0, next = 0; i < count; i++)
        if (!isnan(probabilities[i]))
            probabilities[i] = known[next++];
    free(ordered);
    free(known);
}
