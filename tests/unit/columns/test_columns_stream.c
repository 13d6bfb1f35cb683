/* SPDX-License-Identifier: MIT */
/* Numbers, choices and bytes come back from their columns as they were put there. */
#include <columns_stream.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 1 << 16 };

static struct columns_sinks sinks;
static struct columns_sources sources;
static uint8_t columns[COLUMNS_COUNT][ROOM];

static void begin(void)
{
    sinks = (struct columns_sinks){0};
    memset(columns, 0xee, sizeof(columns)); /* what is not written must not matter */
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        sinks.sinks[i].at = columns[i];
}

/* What the packer does at the end of a frame, and the unpacker at its start. */
static void turn(void)
{
    for (unsigned i = 0; i < COLUMNS_COUNT; i++) {
        if (sinks.sinks[i].choice_bits != 0)
            columns_put_byte(&sinks, i, sinks.sinks[i].choices);
    }
    if (sinks.bit_count != 0)
        columns_put_byte(&sinks, COLUMNS_BITS, (unsigned)sinks.bits);
    sources = (struct columns_sources){0};
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        sources.sources[i] = (struct columns_source){.at = columns[i], .end = sinks.sinks[i].at};
}

/* Every width, and beside it. */
static void test_numbers(void **state)
{
    begin();
    for (unsigned width = 0; width < 64; width++) {
        for (int64_t beside = -3; beside <= 3; beside++)
            columns_put_number(&sinks, COLUMNS_TIME, (UINT64_C(1) << width) + (uint64_t)beside);
    }
    turn();
    for (unsigned width = 0; width < 64; width++) {
        for (int64_t beside = -3; beside <= 3; beside++)
            assert_true(columns_take_number(&sources, COLUMNS_TIME) ==
                        (UINT64_C(1) << width) + (uint64_t)beside);
    }
    assert_false(sources.damaged);
    columns_take_number(&sources, COLUMNS_TIME);
    assert_true(sources.damaged);
}

/* As docs/FORMAT.md has it. */
static void test_bytes_of_numbers(void **state)
{
    begin();
    columns_put_number(&sinks, COLUMNS_TIME, 127);
    columns_put_number(&sinks, COLUMNS_TIME, 500);
    columns_put_number(&sinks, COLUMNS_AGE, 1000);
    turn();
    static const uint8_t times[] = {127, 128 + 4 + 3}, ages[] = {128 + 8 + 3},
                         bits[] = {0x34, 0x1a};
    assert_memory_equal(columns[COLUMNS_TIME], times, sizeof(times));
    assert_memory_equal(columns[COLUMNS_AGE], ages, sizeof(ages));
    assert_memory_equal(columns[COLUMNS_BITS], bits, sizeof(bits));
    assert_ptr_equal(sources.sources[COLUMNS_BITS].end, columns[COLUMNS_BITS] + 2);
}

static void test_codes_of_no_number(void **state)
{
    for (unsigned code = 252; code < COLUMNS_NUMBER_WHOLE; code++) {
        begin();
        columns_put_byte(&sinks, COLUMNS_TIME, code);
        columns_put_bits(&sinks, 0, 56);
        turn();
        columns_take_number(&sources, COLUMNS_TIME);
        assert_true(sources.damaged);
    }
}

/* Bits that end before the number does. */
static void test_bits_end(void **state)
{
    for (unsigned present = 0; present < 8; present++) {
        begin();
        columns_put_byte(&sinks, COLUMNS_TIME, COLUMNS_NUMBER_WHOLE);
        columns_put_byte(&sinks, COLUMNS_TIME, COLUMNS_NUMBER_WHOLE);
        for (unsigned i = 0; i < present; i++)
            columns_put_bits(&sinks, 0xff, 8);
        turn();
        columns_take_number(&sources, COLUMNS_TIME);
        columns_take_number(&sources, COLUMNS_TIME);
        assert_true(sources.damaged);
    }
}

static void test_choices(void **state)
{
    for (unsigned count = 0; count < 20; count++) {
        begin();
        for (unsigned i = 0; i < count; i++)
            columns_put_choice(&sinks, COLUMNS_SITE, i * i % 4 ^ i % 3);
        turn();
        assert_int_equal(sources.sources[COLUMNS_SITE].end - columns[COLUMNS_SITE],
                         (count + 3) / 4);
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(columns_take_choice(&sources, COLUMNS_SITE), i * i % 4 ^ i % 3);
        assert_false(sources.damaged);
    }
    begin();
    columns_put_choice(&sinks, COLUMNS_SITE, 1);
    columns_put_choice(&sinks, COLUMNS_SITE, 2);
    turn();
    assert_int_equal(columns[COLUMNS_SITE][0], 1 + 4 * 2);
}

static void test_bytes_end(void **state)
{
    begin();
    columns_put_byte(&sinks, COLUMNS_GOT, 7);
    turn();
    assert_int_equal(columns_take_byte(&sources, COLUMNS_GOT), 7);
    assert_false(sources.damaged);
    assert_int_equal(columns_take_byte(&sources, COLUMNS_GOT), 0);
    assert_true(sources.damaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bytes_of_numbers),
        cmocka_unit_test(test_codes_of_no_number),
        cmocka_unit_test(test_bits_end),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_bytes_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
