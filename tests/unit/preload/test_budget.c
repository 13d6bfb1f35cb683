/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <sample/budget.h>

#define LEAST 100u
#define MOST 1000000u

/* A thread that spends so many nanoseconds on each unit. */
static uint64_t settle(uint64_t mean, double ns_a_unit, unsigned looks)
{
    for (; looks > 0; looks--) {
        double time = (double)mean * BUDGET_DRAWS * ns_a_unit;
        mean = budget_next(mean, BUDGET_DRAWS, (uint64_t)time, LEAST, MOST);
    }
    return mean;
}

static void samples_take_their_share_of_time(void **state)
{
    (void)state;
    for (double ns = 1; ns < 1000; ns *= 3) {
        uint64_t mean = settle(MOST, ns, 50);
        double each = (double)mean * ns;
        assert_true(each > 0.95 * BUDGET_NS && each < 1.05 * BUDGET_NS);
        assert_true(settle(LEAST, ns, 50) > mean * 95 / 100);
    }
}

static void it_is_there_in_few_steps(void **state)
{
    (void)state;
    uint64_t settled = settle(MOST, 500, 50);
    assert_true(settle(MOST, 500, 4) < 4 * settled);
}

static void it_stays_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(settle(MOST, 0, 50), MOST);
    assert_int_equal(settle(MOST, 1e9, 50), LEAST);
    assert_int_equal(budget_next(LEAST, BUDGET_DRAWS, UINT64_MAX, LEAST, MOST), LEAST);
    assert_int_equal(budget_next(MOST, BUDGET_DRAWS, 0, LEAST, MOST), MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_take_their_share_of_time),
        cmocka_unit_test(it_is_there_in_few_steps),
        cmocka_unit_test(it_stays_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
