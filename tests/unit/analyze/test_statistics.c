/* SPDX-License-Identifier: MIT */
/*
 * Expected values come from hand computation, from enumerating every arrangement, and from R
 * (wilcox.test, p.adjust). The promises about many comparisons are held by making many, on runs
 * disturbed as a shared machine disturbs them, from fixed seeds.
 */
#include "statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_close(double value, double expected)
{
    assert_float_equal(value, expected, 1e-6 * fmax(1, fabs(expected)));
}

/* ---- known answers -------------------------------------------------------------------------- */

static void median_and_quantiles(void **state)
{
    const double odd[] = {9, NAN, 1, 5}, even[] = {4, 1, 3, 2};
    assert_close(statistics_median(odd, COUNT(odd)), 5);
    assert_close(statistics_median(even, COUNT(even)), 2.5);
    assert_close(statistics_quantile(even, COUNT(even), 0.25), 1.75);
    assert_close(statistics_quantile(even, COUNT(even), 0), 1);
    assert_close(statistics_quantile(even, COUNT(even), 1), 4);
    assert_close(statistics_median(odd, 1), 9);
    assert_true(isnan(statistics_median(odd, 0)));
    assert_true(isnan(statistics_median(odd + 1, 1)));
    assert_int_equal(statistics_known(odd, COUNT(odd)), 3);
    assert_close(odd[0], 9); /* inputs stay as they were */
}

static void interval_is_deterministic_and_holds_the_median(void **state)
{
    double values[41];
    for (int i = 0; i < 41; i++)
        values[i] = (i * 17) % 41;
    struct statistics_interval first = statistics_median_interval(values, 41, 7);
    struct statistics_interval again = statistics_median_interval(values, 41, 7);
    assert_close(first.low, again.low);
    assert_close(first.high, again.high);
    /* the binomial interval of the median of 41 values is the 14th to the 28th: 13...27 */
    assert_float_equal(first.low, 13, 1.6);
    assert_float_equal(first.high, 27, 1.6);
    assert_true(isnan(statistics_median_interval(values, 2, 7).low));
}

static void few_values_span_the_interval(void **state)
{
    const double values[] = {3, 9, 4, 6, 5, 8}, same[] = {3, 3, 3, 3, 3};
    struct statistics_interval interval = statistics_median_interval(values, COUNT(values), 1);
    assert_close(interval.low, 3);
    assert_close(interval.high, 9);
    interval = statistics_median_interval(same, COUNT(same), 1);
    assert_close(interval.low, 3);
    assert_close(interval.high, 3);
}

static void difference_of_medians(void **state)
{
    const double a[] = {10.1, 10.0, 10.2, 9.9, 10.0, 10.1};
    const double b[] = {8.1, 8.0, 8.2, 7.9, 8.0, 8.1};
    struct statistics_difference result = statistics_median_difference(a, b, COUNT(a), 3);
    assert_close(result.difference, -2);
    assert_close(result.interval.low, -2); /* the same in every round: the disturbance cancels */
    assert_close(result.interval.high, -2);
    const double missing[] = {8.1, NAN, 8.2, NAN, 8.0, 8.1};
    result = statistics_median_difference(a, missing, COUNT(a), 3);
    assert_close(result.difference, -2);
}

static void rank_sum(void **state)
{
    const double low[] = {1, 2, 3, 4}, high[] = {5, 6, 7, 8};
    assert_close(statistics_rank_sum(low, high, 4), 2.0 / 70);
    assert_close(statistics_rank_sum(low, high, 3), 0.1);
    const double a[] = {1.1, 2.2, NAN, 3.3, 4.4, 5.5}, b[] = {2.0, 3.0, 6.0, 7.0, 8.0, 9.0};
    assert_close(statistics_rank_sum(a, b, 6), 0.177489177489);
    assert_close(statistics_rank_sum(b, a, 6), 0.177489177489);
    const double none[] = {NAN, NAN};
    assert_close(statistics_rank_sum(none, b, 2), 1);
}

static void rank_sum_with_ties(void **state)
{
    const double zeros[] = {0, 0, 0, 0, 0, 0, 0}, ones[] = {1, 1, 1, 1, 1, 1, 1};
    assert_close(statistics_rank_sum(zeros, ones, 7), 2.0 / 3432); /* 14 over 7 */
    assert_close(statistics_rank_sum(ones, ones, 7), 1);
    /* {1, 2, 2} against {2, 3, 3}: 3 of the 20 choices have rank sums as small as 6.5 */
    const double a[] = {1, 2, 2}, b[] = {2, 3, 3};
    assert_close(statistics_rank_sum(a, b, 3), 2 * 3.0 / 20);
}

static void signed_rank(void **state)
{
    const double zero[] = {0, 0, 0, 0, 0, 0}, up[] = {1, 2, 3, 4, 5, 6};
    assert_close(statistics_signed_rank(zero, up, 6), 2.0 / 64);
    const double mixed[] = {1, -2, 3, 4, 5, 6}; /* sums of at most 2: {}, {1}, {2} */
    assert_close(statistics_signed_rank(zero, mixed, 6), 2 * 3.0 / 64);
    const double some[] = {0, 2, NAN, 4, 5, 6}; /* one that is equal, one that is missing */
    assert_close(statistics_signed_rank(zero, some, 6), 2.0 / 16);
    const double ties[] = {1, 1, 1, -1, 1, 1}; /* as a coin: 7 of 64 have at most one minus */
    assert_close(statistics_signed_rank(zero, ties, 6), 2 * 7.0 / 64);
    assert_close(statistics_signed_rank(zero, zero, 6), 1);
}

/* Where the exact tests end, the approximations go on. */
static void many_values(void **state)
{
    double a[60], b[60];
    for (int i = 0; i < 60; i++) {
        a[i] = (i * 37) % 60;
        b[i] = (i * 23) % 60 + 7.3;
    }
    assert_float_equal(statistics_rank_sum(a, b, 15), statistics_rank_sum(a, b, 16), 0.1);
    assert_float_equal(statistics_signed_rank(a, b, 30), statistics_signed_rank(a, b, 31), 0.05);
    for (int i = 0; i < 60; i++)
        b[i] = a[i] + 100 + i % 2;
    assert_true(statistics_rank_sum(a, b, 60) < 1e-15);
    assert_true(statistics_signed_rank(a, b, 60) < 1e-9);
}

static void both_tests(void **state)
{
    const double low[] = {1, 2, 3, 4, 5}, high[] = {6, 7, 8, 9, 10};
    assert_close(statistics_rounds_test(low, high, 5), 4.0 / 252);
    assert_close(statistics_rounds_test_least(5), 4.0 / 252);
    assert_close(statistics_rounds_test_least(1), 1);
    double a[12], b[12]; /* the rounds differ much, the sides hardly: only the pairs tell */
    for (int i = 0; i < 12; i++) {
        a[i] = 100 * i;
        b[i] = 100 * i + 1 + i % 3;
    }
    assert_true(statistics_rank_sum(a, b, 12) > 0.5);
    assert_close(statistics_rounds_test(a, b, 12), 4.0 / 4096);
}

static void holm(void **state)
{
    double p[] = {0.01, NAN, 0.04, 0.03, 0.005};
    statistics_holm(p, COUNT(p));
    assert_close(p[0], 0.03);
    assert_true(isnan(p[1]));
    assert_close(p[2], 0.06);
    assert_close(p[3], 0.06);
    assert_close(p[4], 0.02);
}

/* ---- many comparisons ----------------------------------------------------------------------- */

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double gaussian(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

enum { ROUNDS_MAX = 64 };

/* How a shared machine disturbs runs: each on its own, neighbours that come and stay for some runs,
 * a run that goes astray, a machine that gets slower or faster all the time. */
struct machine {
    uint64_t random;
    double neighbour;
    double drift;
    double at;
};

static struct machine machine_new(uint64_t seed)
{
    struct machine machine = {.random = seed * 0x9e3779b97f4a7c15u};
    machine.drift = 0.005 * gaussian(&machine.random);
    return machine;
}

static double machine_run(struct machine *machine, double seconds)
{
    uint64_t *random = &machine->random;
    machine->neighbour = 0.8 * machine->neighbour + 0.01 * gaussian(random);
    machine->at += machine->drift;
    double astray = uniform(random) < 0.08 ? -0.1 * log(uniform(random)) : 0;
    return seconds * exp(0.01 * gaussian(random) + machine->neighbour + machine->at + astray);
}

/* Two sides in turn, each first in every second round. */
static void rounds_run(uint64_t seed, size_t rounds, double b_seconds, double *a, double *b)
{
    struct machine machine = machine_new(seed);
    for (size_t i = 0; i < rounds; i++) {
        if (i % 2)
            b[i] = machine_run(&machine, b_seconds);
        a[i] = machine_run(&machine, 1);
        if (i % 2 == 0)
            b[i] = machine_run(&machine, b_seconds);
    }
}

static double share_found(size_t trials, size_t rounds, double b_seconds, double level)
{
    double a[ROUNDS_MAX], b[ROUNDS_MAX];
    size_t found = 0;
    for (size_t i = 0; i < trials; i++) {
        rounds_run(i + 1, rounds, b_seconds, a, b);
        found += statistics_rounds_test(a, b, rounds) < level;
    }
    return (double)found / (double)trials;
}

static void the_same_is_not_called_different(void **state)
{
    static const size_t rounds[] = {5, 7, 10, 20, 40};
    for (size_t i = 0; i < COUNT(rounds); i++)
        assert_true(share_found(1000, rounds[i], 1, 0.05) < 0.05);
}

static void a_difference_is_found(void **state)
{
    assert_true(share_found(500, 7, 1.3, 0.025) > 0.95);
    assert_true(share_found(500, 20, 1.08, 0.025) > 0.9);
}

/* How often the interval holds what it is said to hold: the true difference of 0.1. */
static double share_covered(size_t rounds)
{
    enum { TRIALS = 300 };
    double a[ROUNDS_MAX], b[ROUNDS_MAX];
    size_t covered = 0;
    for (size_t i = 0; i < TRIALS; i++) {
        uint64_t random = i + 1;
        for (size_t r = 0; r < rounds; r++) {
            double both = gaussian(&random);
            a[r] = 10 + both + 0.3 * gaussian(&random);
            b[r] = 10.1 + both + 0.3 * gaussian(&random);
        }
        struct statistics_interval interval =
            statistics_median_difference(a, b, rounds, i).interval;
        covered += interval.low <= 0.1 && 0.1 <= interval.high;
    }
    return (double)covered / TRIALS;
}

static void intervals_cover(void **state)
{
    static const size_t rounds[] = {5, 7, 10, 25};
    for (size_t i = 0; i < COUNT(rounds); i++) {
        double covered = share_covered(rounds[i]);
        if (covered < 0.94)
            print_error("%zu rounds: the 95 %% interval holds %.1f %%\n", rounds[i], 100 * covered);
        assert_true(covered >= 0.94);
    }
}

/* With as many rounds as were said to be needed, a difference is found about four times in five. */
static void needed_is_enough(double b_seconds)
{
    enum { TRIALS = 25 };
    double a[ROUNDS_MAX], b[ROUNDS_MAX], needed[TRIALS];
    for (uint64_t i = 0; i < TRIALS; i++) {
        rounds_run(i + 1, 20, b_seconds, a, b);
        needed[i] = (double)statistics_rounds_needed(a, b, 20, b_seconds - 1, 0.025);
    }
    double median = statistics_median(needed, TRIALS);
    assert_true(median >= 5 && median <= ROUNDS_MAX);
    double found = share_found(500, (size_t)median, b_seconds, 0.025);
    if (found < 0.65 || found > 0.95)
        print_error("%.0f rounds find %.0f %%\n", median, 100 * found);
    assert_true(found >= 0.65 && found <= 0.95);
}

static void rounds_needed(void **state)
{
    needed_is_enough(1.05);
    needed_is_enough(1.03);
}

static void rounds_needed_at_the_edges(void **state)
{
    const double same[] = {1, 1, 1, 1, 1, 1, 1}, other[] = {2, 2, 2, 2, 2, 2, 2};
    assert_int_equal(statistics_rounds_needed(same, other, 7, 1, 0.025), 5);
    assert_int_equal(statistics_rounds_needed(same, other, 7, 1, 0.005), 6);
    assert_int_equal(statistics_rounds_needed(same, same, 7, 0, 0.025), 0);
    assert_int_equal(statistics_rounds_needed(same, same, 0, 1, 0.025), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_and_quantiles),
        cmocka_unit_test(interval_is_deterministic_and_holds_the_median),
        cmocka_unit_test(few_values_span_the_interval),
        cmocka_unit_test(difference_of_medians),
        cmocka_unit_test(rank_sum),
        cmocka_unit_test(rank_sum_with_ties),
        cmocka_unit_test(signed_rank),
        cmocka_unit_test(many_values),
        cmocka_unit_test(both_tests),
        cmocka_unit_test(holm),
        cmocka_unit_test(the_same_is_not_called_different),
        cmocka_unit_test(a_difference_is_found),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(rounds_needed),
        cmocka_unit_test(rounds_needed_at_the_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
