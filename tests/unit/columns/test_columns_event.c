/* SPDX-License-Identifier: MIT */
/* Events are encoded as docs/FORMAT.md says, and decoded to what they were. */
#include "builder_log.h"

#include <columns_event.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* xorshift64*: the same everywhere. */
static uint64_t random_bits(unsigned bits)
{
    static uint64_t state = 4711;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return bits == 0 ? 0 : state * 0x2545f4914f6cdd1dULL >> (64 - bits);
}

/* Of any width up to `most` bits. */
static uint64_t number(unsigned most)
{
    return random_bits((unsigned)(random_bits(32) % (most + 1)));
}

static struct columns_event random_event(const struct columns_base *base)
{
    struct columns_event event = {.op = (uint8_t)(random_bits(32) % MALLOCTAP_OPS),
                                  .failed = random_bits(4) == 0,
                                  .stack = random_bits(1) ? base->stack : (uint32_t)number(32),
                                  .time = number(64)};
    if (!event.failed)
        event.address = random_bits(1) ? base->address + 16 * random_bits(3) + 16 : 1 + number(63);
    if (event.op != MALLOCTAP_OP_FREE)
        event.size = number(64);
    if (event.op == MALLOCTAP_OP_REALLOC) {
        event.old = random_bits(1) ? base->address : number(64);
        event.duration = number(64);
        if (random_bits(3) == 0)
            event.address = event.size = 0;
        else if (random_bits(1) && !event.failed && event.old != 0)
            event.address = event.old;
    }
    return event;
}

static void expect_same(const struct columns_event *left, const struct columns_event *right)
{
    assert_int_equal(left->op, right->op);
    assert_int_equal(left->failed, right->failed);
    assert_int_equal(left->stack, right->stack);
    assert_true(left->time == right->time && left->address == right->address);
    assert_true(left->size == right->size && left->old == right->old);
    assert_true(left->duration == right->duration);
}

static void test_back_and_as_documented(void **state)
{
    struct columns_base from = {0}, to = {0};
    struct builder_log_base documented = {0};
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[MALLOCTAP_LOG_EVENT_MAX + COLUMNS_EVENT_SLACK] = {0};
        uint8_t expected[MALLOCTAP_LOG_EVENT_MAX];
        struct columns_event event = random_event(&to), back;
        struct recording_builder_call call = {.op = (enum malloctap_op)event.op,
                                              .stack = event.stack,
                                              .ticks = documented.ticks + event.time,
                                              .address = event.address,
                                              .size = event.size,
                                              .old = event.old,
                                              .duration = event.duration,
                                              .failed = event.failed};
        size_t length = columns_event_encode(&event, &to, bytes);
        assert_int_equal(builder_log_encode(&call, &documented, expected), length);
        assert_memory_equal(bytes, expected, length);
        for (size_t cut = 0; cut < length; cut++) {
            struct columns_base unmoved = from;
            assert_int_equal(columns_event_decode(bytes, cut, &unmoved, &back), 0);
        }
        assert_int_equal(columns_event_decode(bytes, length, &from, &back), length);
        expect_same(&event, &back);
    }
}

static void test_damaged(void **state)
{
    static const uint8_t no_op[64] = {5}, long_stack[64] = {0x80, 0x02}, sized_free[64] = {4, 0x20};
    struct columns_base base = {0};
    struct columns_event event;
    assert_int_equal(columns_event_decode(no_op, 40, &base, &event), 0);
    assert_int_equal(columns_event_decode(long_stack, 40, &base, &event), 0);
    assert_int_equal(columns_event_decode(sized_free, 40, &base, &event), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_and_as_documented),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
