/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <recording/event.h>

#include <string.h>

/* One event, encoded after one at tick 1000, address 0x10000, stack 5. */
static void assert_bytes(struct log_event event, const char *expected, size_t length)
{
    unsigned char bytes[MALLOCTAP_LOG_EVENT_MAX];
    struct log_base base = {1000, 0x10000, 5};
    assert_int_equal(log_encode(&event, &base, bytes), length);
    assert_memory_equal(bytes, expected, length);
    assert_int_equal(base.ticks, event.ticks);
    assert_int_equal(base.stack, event.stack);
}

static void what_is_as_before_takes_no_bytes(void **state)
{
    (void)state;
    assert_bytes(
        (struct log_event){MALLOCTAP_OP_FREE, .stack = 5, .ticks = 1000, .address = 0x10000},
        "\x04\x00", 2);
}

static void each_field_takes_what_it_needs(void **state)
{
    (void)state;
    /* tag: malloc, time 1, stack 2, address 1, size 1; then 200, 300, +64 bytes, 24 */
    assert_bytes((struct log_event){MALLOCTAP_OP_MALLOC, .stack = 300, .ticks = 1200,
                                    .address = 0x10040, .size = 24},
                 "\x10\x25\xc8\x2c\x01\x10\x18", 7);
    /* backwards, and a stack that is not known: one zero byte */
    assert_bytes(
        (struct log_event){MALLOCTAP_OP_FREE, .stack = 0, .ticks = 1000, .address = 0xfff8},
        "\x84\x04\x00\x03", 4);
}

static void what_is_no_near_block_is_whole(void **state)
{
    (void)state;
    assert_bytes(
        (struct log_event){MALLOCTAP_OP_FREE, .stack = 5, .ticks = 1000, .address = 0x10001},
        "\x04\x1c\x01\x00\x01\x00\x00\x00\x00\x00", 10);
    assert_bytes((struct log_event){MALLOCTAP_OP_MALLOC, .failed = true, .stack = 5, .ticks = 1000,
                                    .size = UINT64_MAX},
                 "\x08\xe0\xff\xff\xff\xff\xff\xff\xff\xff", 10);
}

static void reallocs_carry_both_blocks(void **state)
{
    (void)state;
    struct log_event event = {MALLOCTAP_OP_REALLOC, .stack = 5, .ticks = 1001,
                              .address = 0x10100,   .size = 16, .old = 0x10080,
                              .duration = 7};
    /* old: 0x80 from the event before, new: 0x80 from old */
    assert_bytes(event, "\x12\x24\x09\x01\x20\x10\x20\x07", 8);
    /* in place */
    event.address = event.old;
    assert_bytes(event, "\x12\x20\x09\x01\x10\x20\x07", 7);
    /* in place to size 0 is not the same as freed by it */
    event.size = 0;
    assert_bytes(event, "\x12\x1c\x09\x01\x80\x00\x01\x00\x00\x00\x00\x00\x20\x07", 14);
    event.address = 0;
    assert_bytes(event, "\x12\x00\x09\x01\x20\x07", 6);
    /* of null */
    event.old = 0;
    event.address = 0x10000;
    event.size = 1;
    assert_bytes(event, "\x12\x28\x0f\x01\x00\x40\x01\x00\x00\x00\x00\x00\x00\x00\x00\x07", 16);
}

static void the_longest_fits(void **state)
{
    (void)state;
    unsigned char bytes[MALLOCTAP_LOG_EVENT_MAX + 1];
    memset(bytes, 0x5a, sizeof bytes);
    struct log_base base = {0};
    struct log_event event = {MALLOCTAP_OP_REALLOC,  .stack = UINT32_MAX, .ticks = UINT64_MAX,
                              .address = UINT64_MAX, .size = UINT64_MAX,  .old = UINT64_MAX - 1,
                              .duration = UINT64_MAX};
    assert_true(log_encode(&event, &base, bytes) <= MALLOCTAP_LOG_EVENT_MAX);
    assert_int_equal(bytes[MALLOCTAP_LOG_EVENT_MAX], 0x5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_as_before_takes_no_bytes),
        cmocka_unit_test(each_field_takes_what_it_needs),
        cmocka_unit_test(what_is_no_near_block_is_whole),
        cmocka_unit_test(reallocs_carry_both_blocks),
        cmocka_unit_test(the_longest_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
