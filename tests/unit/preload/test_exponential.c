/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <sample/exponential.h>

#include <math.h>

static void logarithm(void **state)
{
    (void)state;
    for (double x = 1e-17; x < 1e20; x *= 1.0137) {
        double scale = fmax(fabs(log(x)), 1e-3);
        assert_true(fabs(exponential_log(x) - log(x)) / scale < 1e-12);
    }
    assert_true(exponential_log(1) == 0);
}

static void weight_is_one_over_the_probability(void **state)
{
    (void)state;
    const uint64_t mean = 512 * 1024;
    for (uint64_t cost = 1; cost < (uint64_t)1 << 50; cost += cost / 7 + 1) {
        double right = -1 / expm1(-(double)cost / (double)mean);
        assert_true(fabs(exponential_weight(cost, mean) - right) / right < 1e-12);
    }
}

/* The draws of a fixed seed: mean and spread as an exponential's, within four standard errors. */
static void draws_are_exponential(void **state)
{
    (void)state;
    enum { DRAWS = 1000000 };
    const uint64_t mean = 1 << 20;
    uint64_t generator = 88172645463325252u;
    double sum = 0, beyond_mean = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t draw = exponential_draw(&generator, mean);
        assert_true(draw >= 1);
        sum += (double)draw;
        beyond_mean += draw > mean;
    }
    assert_true(fabs(sum / DRAWS / (double)mean - 1) < 4 / sqrt(DRAWS));
    assert_true(fabs(beyond_mean / DRAWS - exp(-1)) < 4 * 0.4823 / sqrt(DRAWS));
}

/* Count down as the fast path does; the weights of the calls that are hit must add up to all calls.
 */
static void estimates_are_unbiased(void **state)
{
    (void)state;
    enum { CALLS = 4000000 };
    const uint64_t mean = 50000, call_units = 16;
    static const uint64_t sizes[] = {0, 8, 100, 3000, 70000};
    double calls = 0, bytes = 0, true_bytes = 0, variance = 0;
    uint64_t generator = 1234567, left = exponential_draw(&generator, mean);
    for (int i = 0; i < CALLS; i++) {
        uint64_t size = sizes[i % 5], cost = call_units + size;
        true_bytes += (double)size;
        if (left > cost) {
            left -= cost;
            continue;
        }
        double weight = exponential_weight(cost, mean);
        calls += weight;
        variance += weight * (weight - 1);
        bytes += weight * (double)size;
        left = exponential_draw(&generator, mean);
    }
    assert_true(fabs(calls - CALLS) < 4 * sqrt(variance));
    assert_true(fabs(bytes / true_bytes - 1) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithm),
        cmocka_unit_test(weight_is_one_over_the_probability),
        cmocka_unit_test(draws_are_exponential),
        cmocka_unit_test(estimates_are_unbiased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
