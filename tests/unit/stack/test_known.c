/* SPDX-License-Identifier: MIT */
#include <stack/known.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_finds(void **state)
{
    void *table = NULL;
    assert_int_equal(known_find(&table, 5), 0);
    for (uint64_t i = 1; i <= 100; i++)
        known_add(&table, i * DEPOT_HASH_SPREAD, (uint32_t)i);
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(known_find(&table, i * DEPOT_HASH_SPREAD), i);
    assert_int_equal(known_find(&table, 101 * DEPOT_HASH_SPREAD), 0);
    assert_int_equal(known_find(&table, 0), 0);
}

/* Those whose places are neighbours, too. */
static void test_places(void **state)
{
    void *table = NULL;
    for (uint32_t i = 1; i <= KNOWN_SIZE / 2; i++)
        known_add(&table, i, i);
    for (uint32_t i = 1; i <= KNOWN_SIZE / 2; i++)
        assert_int_equal(known_find(&table, i), i);
}

/* The two that were added last of those that compete for a place. */
static void test_replaces(void **state)
{
    void *table = NULL;
    for (uint32_t i = 1; i <= 10; i++)
        known_add(&table, 7 + (uint64_t)i * KNOWN_SIZE, i);
    for (uint32_t i = 1; i <= 10; i++)
        assert_int_equal(known_find(&table, 7 + (uint64_t)i * KNOWN_SIZE), i > 8 ? i : 0);
}

/* What a reader may see while another stack is written. */
static void test_halves_of_two(void **state)
{
    const struct known_stack one = {1, known_check(1000, 1)}, other = {2, known_check(2000, 2)};
    const struct known_stack mixed[] = {
        {one.id, other.check}, {other.id, one.check}, {0, one.check}, {other.id, 0}};
    assert_int_equal(known_read(&one, 1000), 1);
    assert_int_equal(known_read(&other, 2000), 2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(known_read(&mixed[i], 1000), 0);
        assert_int_equal(known_read(&mixed[i], 2000), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_replaces),
        cmocka_unit_test(test_halves_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
