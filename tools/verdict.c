/* SPDX-License-Identifier: MIT */
#include "verdict.h"

#include "emit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t seed = 1; /* the same runs always give the same verdict */

/* ---- figures -------------------------------------------------------------------------------- */

struct column {
    double *values;
    size_t count; /* of those known */
};

static struct column column_take(const struct verdict_sample *sample, enum measure measure)
{
    struct column column = {calloc(sample->count + 1, sizeof(double)), 0};
    if (!column.values)
        abort();
    for (size_t i = 0; i < sample->count; i++)
        if (!isnan(sample->runs[i].value[measure]))
            column.values[column.count++] = sample->runs[i].value[measure];
    return column;
}

static void measure_judge(const struct column *first, const struct column *second,
                          struct verdict_measure *ret)
{
    ret->median = statistics_median(second->values, second->count);
    ret->interval = statistics_median_interval(second->values, second->count, seed);
    ret->difference = statistics_median_difference(first->values, first->count, second->values,
                                                   second->count, seed);
    ret->share = ret->difference.difference / statistics_median(first->values, first->count);
    ret->probability =
        statistics_rank_test(first->values, first->count, second->values, second->count);
    const struct statistics_interval *interval = &ret->difference.interval;
    ret->differs = first->count >= VERDICT_RUNS_MIN && second->count >= VERDICT_RUNS_MIN &&
                   ret->probability < VERDICT_LEVEL && (interval->low > 0 || interval->high < 0);
}

/* The standard deviation as the quartiles tell it: a run gone astray counts as little here as in
 * the rank test. */
static double deviation(const struct column *column)
{
    return (statistics_quantile(column->values, column->count, 0.75) -
            statistics_quantile(column->values, column->count, 0.25)) /
           1.349;
}

/*
 * Runs a side after which a difference like the one measured, but at least 1 %, is found four times
 * out of five: 2 (z(level / 2) + z(0.8))^2 (deviation / difference)^2, over the rank test's
 * efficiency.
 */
static size_t runs_needed(const struct column *first, const struct column *second, double *target)
{
    const double factor = 2 * (2.241 + 0.842) * (2.241 + 0.842) / 0.955, most = 1e6;
    double base = statistics_median(first->values, first->count);
    double difference = fabs(statistics_median(second->values, second->count) - base);
    double a = deviation(first), b = deviation(second);
    *target = fmax(difference, 0.01 * base);
    double runs = ceil(factor * (a * a + b * b) / 2 / (*target * *target));
    return isfinite(runs) ? (size_t)fmin(fmax(runs, VERDICT_RUNS_MIN), most) : 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

static struct emit_text bytes_words(double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    struct emit_text ret;
    size_t unit = 0;
    for (; bytes >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    snprintf(ret.text, sizeof ret.text, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return ret;
}

/* As much as one says of a difference: two figures or three. */
static struct emit_text time_words(double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    struct emit_text ret;
    size_t unit = 0;
    if (ns >= 120e9)
        return emit_duration(ns);
    for (; ns >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        ns /= 1000;
    snprintf(ret.text, sizeof ret.text, ns < 99.95 ? "%.1f %s" : "%.0f %s", ns, units[unit]);
    return ret;
}

static struct emit_text share_words(double share)
{
    struct emit_text ret;
    double percent = 100 * fabs(share);
    snprintf(ret.text, sizeof ret.text, percent < 9.95 ? "%.1f %%" : "%.0f %%", percent);
    return ret;
}

/* "9.8 s (33 %)" */
static void amount(const struct verdict_measure *measure, struct emit_text words, char *ret,
                   size_t size)
{
    snprintf(ret, size, "%s (%s)", words.text, share_words(measure->share).text);
}

/* A price where one is paid for the other, else the two side by side. */
static void words_trade(const char *name, const struct verdict_measure *time,
                        const struct verdict_measure *memory, char *ret, size_t size)
{
    double ns = time->difference.difference, bytes = memory->difference.difference;
    char seconds[128], sizes[128];
    amount(time, time_words(fabs(ns)), seconds, sizeof seconds);
    amount(memory, bytes_words(fabs(bytes)), sizes, sizeof sizes);
    const char *speed = ns < 0 ? "faster" : "slower", *more = bytes > 0 ? "more" : "less";
    if (!time->differs)
        snprintf(ret, size, "%s: no difference in time to be seen, and %s %s memory", name, sizes,
                 more);
    else if (!memory->differs)
        snprintf(ret, size, "%s: %s %s, no difference in memory to be seen", name, seconds, speed);
    else if ((ns < 0) == (bytes > 0))
        snprintf(ret, size, "%s: %s %s for %s %s memory: %s a GiB", name, seconds, speed, sizes,
                 more, time_words(fabs(ns / bytes) * 1073741824).text);
    else
        snprintf(ret, size, "%s: %s %s, and %s %s memory", name, seconds, speed, sizes, more);
}

static void words_few(const char *name, const struct verdict_measure *time, size_t fewest,
                      char *ret, size_t size)
{
    const char *speed = time->difference.difference < 0 ? "faster" : "slower";
    if (!fewest)
        snprintf(ret, size, "%s: no run to compare", name);
    else
        snprintf(ret, size,
                 "%s: %zu run%s cannot tell (by the medians %s %s); it takes %d at least: -n %d",
                 name, fewest, fewest == 1 ? "" : "s", share_words(time->share).text, speed,
                 VERDICT_RUNS_MIN, VERDICT_RUNS_MIN);
}

enum { MANY = 1000 }; /* beyond it, how many is of no use to know */

static void words_nothing(const char *name, const struct verdict_measure *time, double base,
                          size_t fewest, size_t needed, double target, char *ret, size_t size)
{
    const struct statistics_interval *interval = &time->difference.interval;
    int used = snprintf(ret, size, "%s: no difference to be seen (time %+.1f to %+.1f %%)", name,
                        100 * interval->low / base, 100 * interval->high / base);
    if (needed <= fewest || used >= (int)size)
        return;
    snprintf(ret + used, size - (size_t)used,
             "; the runs vary too much for so few: to see %s would take %s %s runs each",
             share_words(target / base).text, needed > MANY ? "more than" : "about",
             emit_count((double)(needed > MANY ? MANY : needed)).text);
}

/* Nothing differs from itself, not even by chance. */
static void differences_clear(struct verdict *verdict)
{
    for (int i = 0; i < MEASURES; i++) {
        struct verdict_measure *measure = &verdict->measures[i];
        measure->difference = (struct statistics_difference){NAN, {NAN, NAN}};
        measure->share = measure->probability = NAN;
        measure->differs = false;
    }
}

void verdict_reach(const struct verdict_sample *first, const struct verdict_sample *sample,
                   struct verdict *ret)
{
    *ret = (struct verdict){0};
    struct column time_first, time_second;
    for (int i = 0; i < MEASURES; i++) {
        struct column a = column_take(first, (enum measure)i);
        struct column b = column_take(sample, (enum measure)i);
        measure_judge(&a, &b, &ret->measures[i]);
        free(a.values);
        free(b.values);
    }
    if (first == sample) {
        differences_clear(ret);
        return;
    }
    const struct verdict_measure *time = &ret->measures[MEASURE_wall_ns];
    const struct verdict_measure *memory = &ret->measures[MEASURE_peak_rss_bytes];
    time_first = column_take(first, MEASURE_wall_ns);
    time_second = column_take(sample, MEASURE_wall_ns);
    size_t fewest = time_first.count < time_second.count ? time_first.count : time_second.count;
    double base = statistics_median(time_first.values, time_first.count), target;
    ret->runs_needed = runs_needed(&time_first, &time_second, &target);
    if (fewest < VERDICT_RUNS_MIN)
        words_few(sample->name, time, fewest, ret->text, sizeof ret->text);
    else if (time->differs || memory->differs)
        words_trade(sample->name, time, memory, ret->text, sizeof ret->text);
    else
        words_nothing(sample->name, time, base, fewest, ret->runs_needed, target, ret->text,
                      sizeof ret->text);
    free(time_first.values);
    free(time_second.values);
}
