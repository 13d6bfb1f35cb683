/* SPDX-License-Identifier: MIT */
/*
 * The preload object's encoding of a log and the one of the tests, written from FORMAT.md without
 * looking at it, give the same bytes: what the tests of the reader show is true of real logs.
 */
#include "builder_log.h"

#include <recording/event.h>

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

/* Near the one before, far away, or of no alignment. */
static uint64_t address(uint64_t before)
{
    switch (random_bits(2)) {
    case 0:
        return 1 + number(47);
    case 1:
        return before + 16 > before ? before + 16 : 16;
    case 2:
        return before > 16 ? before - 8 : 8;
    default:
        return before != 0 ? before : 8 + 8 * number(43);
    }
}

static struct recording_builder_call random_call(const struct builder_log_base *base)
{
    struct recording_builder_call call = {
        .op = (enum malloctap_op)(random_bits(32) % MALLOCTAP_OPS),
        .stack = random_bits(1) ? base->stack : (uint32_t)number(32),
        .ticks = base->ticks + number(40) - (random_bits(4) == 0 ? number(20) : 0),
        .address = random_bits(4) == 0 ? 0 : address(base->address),
    };
    if (call.op != MALLOCTAP_OP_FREE) {
        call.size = random_bits(2) == 0 ? 0 : number(64);
        call.failed = call.address == 0;
    }
    if (call.op == MALLOCTAP_OP_REALLOC) {
        call.old = random_bits(3) == 0 ? 0 : address(base->address);
        call.duration = number(40);
        if (call.size == 0 && call.old != 0) /* freed */
            call.failed = false;
        if (call.address != 0 && random_bits(1))
            call.address = call.old != 0 ? call.old : call.address;
    }
    return call;
}

static void test_same_bytes(void **state)
{
    struct builder_log_base builder_base = {0};
    struct log_base base = {0};
    for (int i = 0; i < 200000; i++) {
        uint8_t expected[MALLOCTAP_LOG_EVENT_MAX], bytes[MALLOCTAP_LOG_EVENT_MAX + 8];
        struct recording_builder_call call = random_call(&builder_base);
        struct log_event event = {
            .op = call.op,
            .failed = call.failed || (call.op == MALLOCTAP_OP_FREE && call.address == 0),
            .stack = call.stack,
            .ticks = call.ticks,
            .address = call.address,
            .size = call.size,
            .old = call.old,
            .duration = call.duration,
        };
        size_t size = builder_log_encode(&call, &builder_base, expected);
        assert_int_equal(log_encode(&event, &base, bytes), size);
        assert_memory_equal(bytes, expected, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
