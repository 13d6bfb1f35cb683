/* SPDX-License-Identifier: MIT */
#include "verdict.h"

#include <analyze_memory.h>

#include <math.h>
#include <stdlib.h>

static const uint64_t seed = 1; /* the same runs always give the same verdict */

/* Time and memory, of each backend but the first. */
static size_t questions(size_t series)
{
    size_t measures = 0;
    for (int i = 0; i < MEASURES; i++)
        measures += measure_rows[i].role == ROLE_QUESTION;
    return series > 1 ? measures * (series - 1) : measures;
}

size_t verdict_rounds_least(size_t series)
{
    size_t rounds = 1;
    while (statistics_rounds_test_least(rounds) >= VERDICT_LEVEL / (double)questions(series))
        rounds++;
    return rounds;
}

/* One measure over the rounds, to be freed. */
static double *column_take(const struct verdict_series *series, size_t rounds, enum measure measure)
{
    double *column = memory_zeroed(rounds + 1, sizeof *column);
    for (size_t i = 0; i < rounds; i++)
        column[i] = series->rounds[i].value[measure];
    return column;
}

/* Two columns, of the rounds in which both are known: what is not compared with its like is not
 * compared. Returns how many. */
static size_t columns_match(double *a, double *b, size_t rounds)
{
    size_t common = 0;
    for (size_t i = 0; i < rounds; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            a[i] = b[i] = NAN;
        else
            common++;
    }
    return common;
}

static void measure_estimate(const double *values, size_t rounds, struct verdict_measure *ret)
{
    *ret = (struct verdict_measure){
        .median = statistics_median(values, rounds),
        .interval = statistics_median_interval(values, rounds, seed),
        .difference = {NAN, {NAN, NAN}},
        .share = NAN,
        .probability = NAN,
        .corrected = NAN,
    };
}

static void measure_compare(const double *first, const double *values, size_t rounds,
                            enum measure_role role, struct verdict_measure *ret)
{
    ret->difference = statistics_median_difference(first, values, rounds, seed);
    ret->share = ret->difference.difference / statistics_median(first, rounds);
    if (role != ROLE_FACT && statistics_known(first, rounds))
        ret->probability = statistics_rounds_test(first, values, rounds);
}

/* Correct the probabilities of one role over all backends; then both judges have spoken. */
static void family_judge(struct verdict *verdicts, size_t count, enum measure_role role)
{
    double *corrected = memory_zeroed(count * MEASURES, sizeof *corrected);
    for (size_t i = 0; i < count * MEASURES; i++) {
        size_t measure = i % MEASURES;
        corrected[i] = measure_rows[measure].role == role
                           ? verdicts[i / MEASURES].measures[measure].probability
                           : NAN;
    }
    statistics_holm(corrected, count * MEASURES);
    for (size_t i = 0; i < count * MEASURES; i++) {
        struct verdict_measure *row = &verdicts[i / MEASURES].measures[i % MEASURES];
        const struct statistics_interval *interval = &row->difference.interval;
        if (measure_rows[i % MEASURES].role != role)
            continue;
        row->corrected = corrected[i];
        row->differs = row->corrected < VERDICT_LEVEL && !(fabs(row->share) < VERDICT_SHARE_MIN) &&
                       (interval->low > 0 || interval->high < 0);
    }
    free(corrected);
}

/* How many rounds would show a difference in time like the one measured, but at least 1 %. */
static void rounds_needed(const double *first, const double *values, size_t rounds, size_t count,
                          struct verdict *ret)
{
    const struct verdict_measure *time = &ret->measures[MEASURE_wall_ns];
    double base = statistics_median(first, rounds), difference = time->difference.difference;
    double target = copysign(fmax(fabs(difference), 0.01 * base), difference);
    ret->needed_share = fabs(target / base);
    ret->rounds_needed = statistics_rounds_needed(first, values, rounds, target,
                                                  VERDICT_LEVEL / (double)questions(count));
}

static void series_judge(const struct verdict_series *series, const struct verdict_series *first,
                         size_t rounds, size_t count, struct verdict *ret)
{
    for (int m = 0; m < MEASURES; m++) {
        double *values = column_take(series, rounds, (enum measure)m);
        double *base = column_take(first, rounds, (enum measure)m);
        measure_estimate(values, rounds, &ret->measures[m]);
        if (m == MEASURE_wall_ns)
            ret->runs = statistics_known(values, rounds);
        size_t common = columns_match(base, values, rounds);
        if (m == MEASURE_wall_ns)
            ret->rounds = common;
        if (series != first)
            measure_compare(base, values, rounds, measure_rows[m].role, &ret->measures[m]);
        if (series != first && m == MEASURE_wall_ns)
            rounds_needed(base, values, rounds, count, ret);
        free(base);
        free(values);
    }
}

/* NaN stays. */
static double share_of(double difference, double base)
{
    return difference / base < -1 ? -1 : difference / base;
}

struct statistics_interval verdict_share_interval(const struct verdict_measure *measure)
{
    const struct statistics_interval *interval = &measure->difference.interval;
    double base = measure->difference.difference / measure->share;
    if (!isfinite(base))
        base = measure->median; /* no difference at all */
    return (struct statistics_interval){share_of(interval->low, base),
                                        share_of(interval->high, base)};
}

void verdicts_reach(const struct verdict_series *series, size_t count, size_t rounds,
                    struct verdict *ret)
{
    for (size_t i = 0; i < count; i++) {
        ret[i] = (struct verdict){.name = series[i].name,
                                  .against = i ? series[0].name : NULL,
                                  .rounds_least = verdict_rounds_least(count),
                                  .needed_share = NAN};
        series_judge(&series[i], &series[0], rounds, count, &ret[i]);
    }
    family_judge(ret, count, ROLE_QUESTION);
    family_judge(ret, count, ROLE_DETAIL);
}
