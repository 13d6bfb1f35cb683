/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define DISTINCT 1000000u

static void make(uint64_t frames[8], uint32_t number)
{
    for (uint32_t i = 0; i < 8; i++)
        frames[i] = (uint64_t)1 << 48 | (uint64_t)(i == 4 ? number : i * 1000);
}

static void test_many_distinct(void **state)
{
    uint32_t *ids = malloc(DISTINCT * sizeof(*ids));
    uint64_t frames[8];
    uint64_t before = probe_stacks_stored();
    for (uint32_t number = 0; number < DISTINCT; number++) {
        make(frames, number);
        ids[number] = probe_intern(frames, 8, 0);
        assert_int_not_equal(ids[number], 0);
    }
    /* Those found in an older table are entered in the newest: twice, therefore. */
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t number = 0; number < DISTINCT; number++) {
            make(frames, number);
            if (probe_intern(frames, 8, 0) != ids[number])
                fail_msg("stack %u has another id than before", number);
        }
    }
    assert_int_equal(probe_stacks_stored() - before, DISTINCT);
    free(ids);
}

static void test_what_distinguishes(void **state)
{
    uint64_t frames[8];
    make(frames, 12345678);
    uint32_t whole = probe_intern(frames, 8, 0);
    assert_int_equal(probe_intern(frames, 8, 0), whole);
    assert_int_not_equal(probe_intern(frames, 7, 0), whole);
    assert_int_not_equal(probe_intern(frames, 8, MALLOCTAP_STACK_TRUNCATED), whole);
    frames[7]++;
    assert_int_not_equal(probe_intern(frames, 8, 0), whole);
}

static void test_what_is_stored(void **state)
{
    uint64_t frames[8];
    make(frames, 87654321);
    const struct malloctap_stack *stack =
        probe_stored(probe_intern(frames, 8, MALLOCTAP_STACK_LIMITED));
    assert_int_equal(stack->frame_count, 8);
    assert_int_equal(stack->flags, MALLOCTAP_STACK_LIMITED);
    assert_memory_equal(stack->frames, frames, sizeof(frames));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_distinct),
        cmocka_unit_test(test_what_distinguishes),
        cmocka_unit_test(test_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
