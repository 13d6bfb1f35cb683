/* SPDX-License-Identifier: MIT */
/* Expected values come from hand computation and from enumerating every arrangement of ranks. */
#include "statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_close(double value, double expected)
{
    assert_float_equal(value, expected, 1e-6 * fmax(1, fabs(expected)));
}

static void median_and_quantiles(void **state)
{
    const double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2};
    assert_close(statistics_median(odd, COUNT(odd)), 5);
    assert_close(statistics_median(even, COUNT(even)), 2.5);
    assert_close(statistics_quantile(even, COUNT(even), 0.25), 1.75);
    assert_close(statistics_quantile(even, COUNT(even), 0), 1);
    assert_close(statistics_quantile(even, COUNT(even), 1), 4);
    assert_close(statistics_median(odd, 1), 9);
    assert_true(isnan(statistics_median(odd, 0)));
    assert_close(odd[0], 9); /* inputs stay as they were */
}

static void mean_and_its_error(void **state)
{
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    assert_close(statistics_mean(values, COUNT(values)), 5);
    assert_close(statistics_stderr(values, COUNT(values)), sqrt(32.0 / 7 / 8));
    assert_true(isnan(statistics_stderr(values, 1)));
    assert_true(isnan(statistics_mean(values, 0)));
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
    assert_true(first.low < 20 && 20 < first.high);
    /* the binomial interval of the median of 41 values is the 14th to the 28th: 13...27 */
    assert_float_equal(first.low, 13.5, 1.6);
    assert_float_equal(first.high, 26.5, 1.6);
    assert_true(isnan(statistics_median_interval(values, 1, 7).low));
}

static void equal_values_have_no_width(void **state)
{
    const double values[] = {3, 3, 3, 3, 3};
    struct statistics_interval interval = statistics_median_interval(values, COUNT(values), 1);
    assert_close(interval.low, 3);
    assert_close(interval.high, 3);
}

static void difference_of_medians(void **state)
{
    const double a[] = {10.1, 10.0, 10.2, 9.9, 10.0, 10.1};
    const double b[] = {8.1, 8.0, 8.2, 7.9, 8.0, 8.1};
    struct statistics_difference result = statistics_median_difference(a, COUNT(a), b, COUNT(b), 3);
    assert_close(result.difference, -2);
    assert_true(result.interval.low <= -2 && result.interval.high >= -2);
    assert_true(result.interval.high < -1.7 && result.interval.low > -2.3);
}

static void rank_test_exact(void **state)
{
    const double low[] = {1, 2, 3, 4}, high[] = {5, 6, 7, 8};
    assert_close(statistics_rank_test(low, 4, high, 4), 2.0 / 70);
    assert_close(statistics_rank_test(low, 3, high, 3), 0.1);
    const double a[] = {1.1, 2.2, 3.3, 4.4, 5.5}, b[] = {2.0, 3.0, 6.0, 7.0, 8.0, 9.0};
    assert_close(statistics_rank_test(a, 5, b, 6), 0.177489177489);
    assert_close(statistics_rank_test(b, 6, a, 5), 0.177489177489);
    assert_close(statistics_rank_test(a, 0, b, 6), 1);
}

static void rank_test_with_ties(void **state)
{
    const double a[] = {1, 2, 2, 3, 4}, b[] = {2, 3, 4, 5, 6};
    assert_float_equal(statistics_rank_test(a, 5, b, 5), 0.136332995, 1e-6);
    const double same[] = {1, 1, 1};
    assert_close(statistics_rank_test(same, 3, same, 3), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_and_quantiles),
        cmocka_unit_test(mean_and_its_error),
        cmocka_unit_test(interval_is_deterministic_and_holds_the_median),
        cmocka_unit_test(equal_values_have_no_width),
        cmocka_unit_test(difference_of_medians),
        cmocka_unit_test(rank_test_exact),
        cmocka_unit_test(rank_test_with_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
