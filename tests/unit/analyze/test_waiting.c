/* SPDX-License-Identifier: MIT */
/* The estimate of waiting and its interval: by hand where that can be done, and by simulation of
 * whole programs, whose waiting is known, sampled again and again. */
#include <waiting.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PROGRAMS 1000
#define WEIGHT 64.0

static struct malloctap_sample sample(double weight, uint64_t wait_ns)
{
    return (struct malloctap_sample){
        .weight = weight,
        .probe = wait_ns ? MALLOCTAP_PROBE_BLOCKED : MALLOCTAP_PROBE_FAST,
        .time_ns = 100 + wait_ns,
        .wait_ns = wait_ns,
    };
}

static void add(struct waiting *to, double weight, uint64_t wait_ns)
{
    struct malloctap_sample one = sample(weight, wait_ns);
    waiting_add_sample(to, &one);
}

static void test_estimate_is_the_weighted_sum(void **state)
{
    struct waiting left = {0}, right = {0};
    add(&left, 10, 1000);
    add(&left, 20, 0);
    add(&right, 5, 300);
    waiting_add(&left, &right);
    assert_int_equal(left.classed, 3);
    assert_int_equal(left.blocked, 2);
    assert_float_equal(waiting_ns(&left), 10 * 1000 + 5 * 300, 1e-6);
    assert_float_equal(left.variance, 10 * 9 * 1e6 + 5 * 4 * 9e4, 1e-6);
}

static void test_what_was_always_sampled_is_certain(void **state)
{
    struct waiting waiting = {0};
    add(&waiting, 1, 700);
    add(&waiting, 1, 50);
    struct statistics_interval interval = waiting_interval(&waiting);
    /* but for what the method may get wrong */
    assert_float_equal(interval.low, 750 / 1.2, 1e-9);
    assert_float_equal(interval.high, 750 * 1.2, 1e-9);
}

/* Where only watched calls were seen waiting, others may have; the more, the more each stands for.
 */
static void test_calls_that_were_not_watched_may_have_waited(void **state)
{
    double last = 750 * 1.2;
    for (double weight = 2; weight < 1000; weight *= 4) {
        struct waiting waiting = {0};
        struct malloctap_sample one = sample(1, 700), other = sample(1, 50);
        one.flags = other.flags = MALLOCTAP_SAMPLE_WATCHED;
        waiting_add_sample(&waiting, &one);
        waiting_add_sample(&waiting, &other);
        add(&waiting, weight, 0);
        struct statistics_interval interval = waiting_interval(&waiting);
        assert_float_equal(interval.low, 750 / 1.2, 1e-9);
        assert_true(interval.high > last);
        last = interval.high;
    }
    assert_true(last > 750 * 100);
}

static void test_no_wait_is_nothing_found_and_nothing_excluded(void **state)
{
    struct waiting waiting = {0};
    for (int i = 0; i < 1000; i++)
        add(&waiting, 4096, 0);
    struct statistics_interval interval = waiting_interval(&waiting);
    assert_true(waiting_ns(&waiting) == 0 && interval.low == 0);
    assert_true(isinf(interval.high));
    /* With this many waiting ones, none is sampled once in 20 times. */
    assert_float_equal(pow(1 - 1 / 4096.0, waiting_calls_limit(&waiting)), 0.05, 1e-4);
}

static void test_calls_without_class_say_nothing(void **state)
{
    struct waiting waiting = {0};
    struct malloctap_sample unclassed = sample(10, 0), unprobed = sample(10, 0);
    unclassed.probe = MALLOCTAP_PROBE_UNCLASSED;
    unprobed.probe = MALLOCTAP_PROBE_NONE;
    waiting_add_sample(&waiting, &unclassed);
    waiting_add_sample(&waiting, &unprobed);
    assert_int_equal(waiting.classed, 0);
}

/* One wait seen, of weight w: the exact interval for a Poisson count of one is 0.0253 to 5.57; the
 * upper end allows for a wait twice as long, 3 times 3.2. */
static void test_one_wait_gives_a_wide_interval(void **state)
{
    struct waiting waiting = {0};
    add(&waiting, 10000, 1000);
    struct statistics_interval interval = waiting_interval(&waiting);
    assert_true(interval.low > 0.01 * 1e7 && interval.low <= 0.0253 * 1e7);
    assert_true(interval.high >= 5.57 * 1e7 && interval.high < 12 * 1e7);
}

/* ---- coverage -------------------------------------------------------------------------------- */

static double uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    return sqrt(-2 * log(uniform(state))) * cos(2 * M_PI * uniform(state));
}

/* What a wait is like: e to the power of a normal deviate times `spread`. Measured under contended
 * allocators it is 0.5 to 1.5. */
static uint64_t draw_wait(uint64_t *state, double spread)
{
    return 1 + (uint64_t)(20000 * exp(spread * normal(state)));
}

/* Of so many programs in which `expected` samples will have waited, the share whose waiting lies in
 * the interval. */
static double coverage(double spread, double expected, uint64_t seed)
{
    int covered = 0;
    for (int program = 0; program < PROGRAMS; program++) {
        struct waiting waiting = {0};
        double truth = 0;
        for (int call = 0; call < expected * WEIGHT; call++) {
            uint64_t wait = draw_wait(&seed, spread);
            truth += (double)wait;
            if (uniform(&seed) < 1 / WEIGHT)
                add(&waiting, WEIGHT, wait);
        }
        struct statistics_interval interval = waiting_interval(&waiting);
        covered += truth >= interval.low && truth <= interval.high;
    }
    return (double)covered / PROGRAMS;
}

static void test_interval_covers_even_waits(void **state)
{
    for (int expected = 1; expected <= 64; expected *= 4)
        assert_true(coverage(0.5, expected, 1) >= 0.95);
}

static void test_interval_covers_uneven_waits(void **state)
{
    for (int expected = 1; expected <= 64; expected *= 4)
        assert_true(coverage(1, expected, 2) >= 0.92);
}

/* One in ten waits ten times as long as most: few samples cannot know that. */
static void test_interval_covers_very_uneven_waits_given_ten_samples(void **state)
{
    for (int expected = 10; expected <= 90; expected *= 3)
        assert_true(coverage(1.5, expected, 3) >= 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimate_is_the_weighted_sum),
        cmocka_unit_test(test_what_was_always_sampled_is_certain),
        cmocka_unit_test(test_calls_that_were_not_watched_may_have_waited),
        cmocka_unit_test(test_no_wait_is_nothing_found_and_nothing_excluded),
        cmocka_unit_test(test_calls_without_class_say_nothing),
        cmocka_unit_test(test_one_wait_gives_a_wide_interval),
        cmocka_unit_test(test_interval_covers_even_waits),
        cmocka_unit_test(test_interval_covers_uneven_waits),
        cmocka_unit_test(test_interval_covers_very_uneven_waits_given_ten_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
