/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <sample/budget.h>

#define LEAST 100u
#define MOST 1000000u
#define APART_NS 600000u

static uint64_t next(uint64_t mean, uint32_t draws, uint64_t units, uint64_t time_ns)
{
    struct budget budget = {.mean = mean, .apart_ns = APART_NS, .units = units, .draws = draws};
    return budget_next(&budget, time_ns, LEAST, MOST);
}

/* A thread that spends so many nanoseconds on each unit. */
static uint64_t settle(uint64_t mean, double ns_a_unit, unsigned looks)
{
    for (; looks > 0; looks--) {
        uint64_t units = mean * BUDGET_DRAWS;
        mean = next(mean, BUDGET_DRAWS, units, (uint64_t)((double)units * ns_a_unit));
    }
    return mean;
}

static void samples_take_their_share_of_time(void **state)
{
    (void)state;
    for (double ns = 1; ns < 1000; ns *= 3) {
        uint64_t mean = settle(MOST, ns, 50);
        double each = (double)mean * ns;
        assert_true(each > 0.95 * APART_NS && each < 1.05 * APART_NS);
        assert_true(settle(LEAST, ns, 50) > mean * 95 / 100);
    }
}

static void it_is_there_in_few_steps(void **state)
{
    (void)state;
    uint64_t settled = settle(MOST, 500, 50);
    assert_true(settle(MOST, 500, 4) <= settled * 105 / 100);
}

static void it_stays_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(settle(MOST, 0, 50), MOST);
    assert_int_equal(settle(MOST, 1e9, 50), LEAST);
    assert_int_equal(next(LEAST, 1, LEAST, UINT64_MAX), LEAST);
    assert_int_equal(next(MOST, 1, MOST, 0), MOST);
}

/* Each call is sampled, however small the mean: it takes much more than was drawn. */
static void large_allocations_do_not_make_it_fast(void **state)
{
    (void)state;
    uint64_t mean = LEAST;
    for (int look = 0; look < 30; look++)
        mean = next(mean, BUDGET_DRAWS, mean * BUDGET_DRAWS, BUDGET_DRAWS * 1000);
    assert_int_equal(mean, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_take_their_share_of_time),
        cmocka_unit_test(it_is_there_in_few_steps),
        cmocka_unit_test(it_stays_within_bounds),
        cmocka_unit_test(large_allocations_do_not_make_it_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
