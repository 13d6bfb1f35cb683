/* SPDX-License-Identifier: MIT */
/*
 * Frames that are well but for one thing: nothing else would refuse them. What an unpacker keeps of
 * the frame before must not make up for what is missing, so the sound frame always goes first.
 */
#include "../../support/columns_frame.h"

#include <columns.h>
#include <columns_model.h>
#include <malloctap/recording.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CHUNK_SIZE = 4096, LARGE_CHUNK_SIZE = 1 << 18, ROOM = COLUMNS_FRAME_MAX + 2 * CHUNK_SIZE };

static struct columns_unpacker *unpacker;
static uint8_t unpacked[ROOM];

/* ---- frames of one chunk -----------------------------------------------------------------------
 */

static struct columns_frame frame;
static struct columns_sinks sinks;
static uint8_t columns[COLUMNS_COUNT][ROOM];

static void begin(uint32_t chunk_size)
{
    memset(columns[COLUMNS_REST], 0, ROOM);
    sinks = (struct columns_sinks){0};
    frame.chunk_size = chunk_size;
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        sinks.sinks[i].at = frame.columns[i].bytes = columns[i];
}

/* The chunk has so many bytes of events. */
static void finish(uint32_t committed)
{
    struct malloctap_chunk head = {
        .sequence = 1, .committed = committed, .content = MALLOCTAP_CHUNK_LOG};
    columns[COLUMNS_REST][0] = 1;
    memcpy(&columns[COLUMNS_REST][1], &head, sizeof(head));
    sinks.sinks[COLUMNS_REST].at += 1 + frame.chunk_size - committed;
    for (unsigned i = 0; i < COLUMNS_COUNT; i++) {
        if (sinks.sinks[i].choice_bits != 0)
            columns_put_byte(&sinks, i, sinks.sinks[i].choices);
    }
    if (sinks.bit_count != 0)
        columns_put_byte(&sinks, COLUMNS_BITS, (unsigned)sinks.bits);
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        frame.columns[i].size = (size_t)(sinks.sinks[i].at - columns[i]);
}

/* A call from a stack not seen yet, whose number is that of the new one before plus `distance` / 2.
 */
static void put_new_site(uint64_t distance, unsigned call)
{
    columns_put_choice(&sinks, COLUMNS_SITE, COLUMNS_SITE_LISTED);
    columns_put_number(&sinks, COLUMNS_LISTED, 0);
    columns_put_number(&sinks, COLUMNS_STACK, distance);
    columns_put_byte(&sinks, COLUMNS_CALL, call);
    columns_put_number(&sinks, COLUMNS_TIME, 0);
}

static void put_same_site(void)
{
    columns_put_choice(&sinks, COLUMNS_SITE, 0);
    columns_put_number(&sinks, COLUMNS_TIME, 0);
}

/* 0 bytes at address 16. */
static void put_nothing_at_16(void)
{
    columns_put_choice(&sinks, COLUMNS_SIZE, 0);
    columns_put_byte(&sinks, COLUMNS_GOT, COLUMNS_GOT_DISTANCE);
    columns_put_number(&sinks, COLUMNS_DISTANCE, 4);
}

static int unpack_bytes(const uint8_t *bytes, size_t bytes_size, bool heads_only, size_t size)
{
    uint32_t chunk_size;
    return columns_unpack(unpacker, bytes, bytes_size, heads_only, unpacked, size, &chunk_size);
}

static int unpack(bool heads_only, size_t size)
{
    size_t packed_size;
    uint8_t *packed = columns_frame_join(&frame, &packed_size);
    int result = unpack_bytes(packed, packed_size, heads_only, size);
    free(packed);
    return result;
}

static void expect_sound(void)
{
    assert_int_equal(unpack(false, frame.chunk_size), 1);
}

static void expect_refused(void)
{
    assert_int_equal(unpack(false, frame.chunk_size), 0);
}

static void expect_refused_byte(enum columns_column column, uint8_t value)
{
    uint8_t before = columns[column][0];
    columns[column][0] = value;
    expect_refused();
    columns[column][0] = before;
    expect_sound();
}

static int create(void **state)
{
    unpacker = columns_unpacker_create();
    return unpacker != NULL ? 0 : -1;
}

static int destroy(void **state)
{
    columns_unpacker_destroy(unpacker);
    return 0;
}

/* ---- the frame ---------------------------------------------------------------------------------
 */

static void begin_malloc_40(void)
{
    begin(CHUNK_SIZE);
    put_new_site(2, MALLOCTAP_OP_MALLOC);
    columns_put_choice(&sinks, COLUMNS_SIZE, COLUMNS_SIZE_OTHER);
    columns_put_number(&sinks, COLUMNS_BYTES, 40);
    columns_put_byte(&sinks, COLUMNS_GOT, COLUMNS_GOT_DISTANCE);
    columns_put_number(&sinks, COLUMNS_DISTANCE, 4);
    finish(5);
}

static void test_first_bytes(void **state)
{
    static const uint8_t magic[] = {0x5c, 0x2a, 0x4d, 0x18};
    assert_true(columns_is(magic, 4));
    assert_false(columns_is(magic, 3));

    size_t size;
    begin_malloc_40();
    uint8_t *packed = columns_frame_join(&frame, &size);
    assert_int_equal(unpack_bytes(packed, size, false, CHUNK_SIZE), 1);
    for (unsigned i = 0; i < 8 * COLUMNS_FIXED_SIZE; i++) {
        packed[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(unpack_bytes(packed, size, false, CHUNK_SIZE), 0);
        packed[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    packed = realloc(packed, size + 1);
    packed[size] = 0;
    assert_int_equal(unpack_bytes(packed, size + 1, false, CHUNK_SIZE), 0);
    free(packed);
}

/* The bytes of a column are fewer than its size says. */
static void test_column_ends_early(void **state)
{
    size_t size;
    begin_malloc_40();
    expect_sound();
    frame.columns[COLUMNS_BYTES].size--;
    uint8_t *packed = columns_frame_join(&frame, &size);
    packed[COLUMNS_FIXED_SIZE + 8 * COLUMNS_BYTES + 4]++;
    assert_int_equal(unpack_bytes(packed, size, false, CHUNK_SIZE), 0);
    free(packed);
}

/* What need not be decompressed counts too: it would have to be, the next time. */
static void test_columns_too_large(void **state)
{
    size_t size;
    begin_malloc_40();
    uint8_t *packed = columns_frame_join(&frame, &size);
    assert_int_equal(unpack_bytes(packed, size, true, CHUNK_SIZE), 1);
    packed[COLUMNS_FIXED_SIZE + 8 * COLUMNS_DISTANCE + 6] = 1; /* 65536 more */
    assert_int_equal(unpack_bytes(packed, size, true, CHUNK_SIZE), 0);
    free(packed);
}

/* A frame of zeros, none of it in columns. */
static void begin_zeros(uint32_t chunk_size, size_t rest)
{
    begin(chunk_size);
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        frame.columns[i].size = 0;
    frame.columns[COLUMNS_REST].size = rest;
}

static void test_sizes(void **state)
{
    size_t most = COLUMNS_FRAME_MAX / CHUNK_SIZE;
    begin_zeros(CHUNK_SIZE, most * (1 + CHUNK_SIZE));
    assert_int_equal(unpack(false, COLUMNS_FRAME_MAX), 1);
    begin_zeros(CHUNK_SIZE, (most + 1) * (1 + CHUNK_SIZE));
    assert_int_equal(unpack(false, COLUMNS_FRAME_MAX + CHUNK_SIZE), 0);
    begin_zeros(CHUNK_SIZE, 1 + 2 * CHUNK_SIZE); /* one chunk and a half */
    assert_int_equal(unpack(false, CHUNK_SIZE + CHUNK_SIZE / 2), 0);
    begin_zeros(CHUNK_SIZE, 0);
    assert_int_equal(unpack(false, 0), 0);
    begin_zeros(sizeof(struct malloctap_chunk) + 1, 2 * (2 + sizeof(struct malloctap_chunk)));
    assert_int_equal(unpack(false, 2 * sizeof(struct malloctap_chunk) + 2), 1);
    begin_zeros(sizeof(struct malloctap_chunk), 2 * (1 + sizeof(struct malloctap_chunk)));
    assert_int_equal(unpack(false, 2 * sizeof(struct malloctap_chunk)), 0);
    frame.chunk_size = 0;
    assert_int_equal(unpack(false, 2 * sizeof(struct malloctap_chunk)), 0);
}

/* Nobody looks whether REST was used up where only the heads are asked for. */
static void test_rest_ends_early(void **state)
{
    begin_zeros(CHUNK_SIZE, 2 * (1 + CHUNK_SIZE));
    assert_int_equal(unpack(true, 2 * CHUNK_SIZE), 1);
    begin_zeros(CHUNK_SIZE, 2 * (1 + CHUNK_SIZE) - 1);
    assert_int_equal(unpack(true, 2 * CHUNK_SIZE), 0);
    begin_zeros(CHUNK_SIZE, 1);
    assert_int_equal(unpack(true, 2 * CHUNK_SIZE), 0);
}

/* ---- sites -------------------------------------------------------------------------------------
 */

static void test_calls(void **state)
{
    begin_malloc_40();
    expect_sound();
    for (unsigned op = MALLOCTAP_OPS; op < 8; op++)
        expect_refused_byte(COLUMNS_CALL, (uint8_t)op);
    for (unsigned bit = 0x10; bit < 0x100; bit *= 2)
        expect_refused_byte(COLUMNS_CALL, (uint8_t)bit);
    expect_refused_byte(COLUMNS_SIZE, 3);
}

/* One below 0 is UINT32_MAX, cut to 32 bits. */
static void test_stacks(void **state)
{
    for (int below = 0; below <= 1; below++) {
        begin(CHUNK_SIZE);
        put_new_site(below ? 3 : UINT64_C(2) * UINT32_MAX, MALLOCTAP_OP_MALLOC);
        put_nothing_at_16();
        finish(7);
        assert_int_equal(unpack(false, CHUNK_SIZE), !below);
    }
}

static void test_site_that_is_not_there(void **state)
{
    begin(CHUNK_SIZE);
    put_new_site(2, MALLOCTAP_OP_MALLOC);
    put_nothing_at_16();
    finish(4);
    expect_sound();
    begin(CHUNK_SIZE);
    put_same_site();
    put_nothing_at_16();
    finish(4);
    expect_refused();
}

/* One site more than have numbers, then a call from the one with the number of `listed`. */
static void begin_many_sites(uint64_t listed)
{
    begin(LARGE_CHUNK_SIZE);
    for (uint32_t i = 0; i <= COLUMNS_SITES; i++) {
        put_new_site(2, MALLOCTAP_OP_MALLOC | MALLOCTAP_LOG_FAILED);
        columns_put_choice(&sinks, COLUMNS_SIZE, 0);
    }
    columns_put_choice(&sinks, COLUMNS_SITE, COLUMNS_SITE_LISTED);
    columns_put_number(&sinks, COLUMNS_LISTED, listed);
    columns_put_number(&sinks, COLUMNS_TIME, 0);
    columns_put_choice(&sinks, COLUMNS_SIZE, COLUMNS_SIZE_OTHER);
    columns_put_number(&sinks, COLUMNS_BYTES, 0);
}

static void test_number_of_no_site(void **state)
{
    /* tags, and stacks of one, two and three bytes */
    uint32_t committed = 2 * (COLUMNS_SITES + 2) + 255 + 2 * (65536 - 256) + 3 * 3;
    begin_many_sites(COLUMNS_SITES);
    finish(committed);
    expect_sound();
    begin_many_sites(COLUMNS_SITES + 1);
    /* What is behind the sites would pass for a malloc from the same stack, which takes no byte. */
    columns_put_byte(&sinks, COLUMNS_GOT, COLUMNS_GOT_NONE);
    finish(committed - 3);
    expect_refused();
}

/* ---- blocks ------------------------------------------------------------------------------------
 */

/* As many calls to malloc, of 0 bytes each, then a free of the one of that age. */
static void put_malloc_and_free(size_t mallocs, uint64_t age)
{
    begin(LARGE_CHUNK_SIZE);
    put_new_site(2, MALLOCTAP_OP_MALLOC);
    put_nothing_at_16();
    for (size_t i = 1; i < mallocs; i++) {
        put_same_site();
        columns_put_choice(&sinks, COLUMNS_SIZE, 0);
        columns_put_byte(&sinks, COLUMNS_GOT, COLUMNS_GOT_ADJACENT);
    }
    put_new_site(2, MALLOCTAP_OP_FREE);
    columns_put_choice(&sinks, COLUMNS_GIVEN, COLUMNS_GIVEN_AGE);
    columns_put_number(&sinks, COLUMNS_AGE, age);
    finish((uint32_t)(4 + 3 * (mallocs - 1) + 3));
}

static void test_ages(void **state)
{
    /* The frame before leaves the same address where the one asked for would be. */
    begin(LARGE_CHUNK_SIZE);
    put_new_site(2, MALLOCTAP_OP_MALLOC);
    put_nothing_at_16();
    put_same_site();
    columns_put_choice(&sinks, COLUMNS_SIZE, 0);
    columns_put_byte(&sinks, COLUMNS_GOT, COLUMNS_GOT_DISTANCE);
    columns_put_number(&sinks, COLUMNS_DISTANCE, 0);
    finish(4 + 2);
    expect_sound();
    put_malloc_and_free(1, 0);
    expect_refused();
    put_malloc_and_free(1, 1);
    expect_sound();

    put_malloc_and_free(COLUMNS_BLOCKS + 1, 1);
    expect_sound();
    put_malloc_and_free(COLUMNS_BLOCKS + 1, COLUMNS_BLOCKS + 1);
    expect_refused();
}

/* Older than any, where nothing was ever kept: 0, which is as short as the address before. */
static void test_age_of_none(void **state)
{
    struct columns_unpacker *used = unpacker;
    unpacker = columns_unpacker_create();
    put_malloc_and_free(1, 2);
    expect_refused();
    columns_unpacker_destroy(unpacker);
    unpacker = used;
}

static void test_codes_of_no_block(void **state)
{
    begin(CHUNK_SIZE);
    put_new_site(2, MALLOCTAP_OP_MALLOC);
    columns_put_choice(&sinks, COLUMNS_SIZE, 0);
    columns_put_byte(&sinks, COLUMNS_GOT, COLUMNS_GOT_NONE);
    finish(3);
    expect_sound();
    for (unsigned code = COLUMNS_GOT_NONE + 1; code < 256; code++)
        expect_refused_byte(COLUMNS_GOT, (uint8_t)code);
    for (unsigned rank = 0; rank < COLUMNS_FREE_BLOCKS; rank++)
        expect_refused_byte(COLUMNS_GOT, (uint8_t)rank);
}

/* ---- events ------------------------------------------------------------------------------------
 */

/* The last event goes on behind the end of the events. */
static void test_event_too_long(void **state)
{
    uint8_t *in_rest = &columns[COLUMNS_REST][1 + offsetof(struct malloctap_chunk, committed)];
    begin_malloc_40();
    expect_sound();
    for (uint32_t committed = 4; committed > 0; committed--) {
        memcpy(in_rest, &committed, sizeof(committed));
        frame.columns[COLUMNS_REST].size = 1 + CHUNK_SIZE - committed;
        expect_refused();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_column_ends_early),
        cmocka_unit_test(test_columns_too_large),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rest_ends_early),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_stacks),
        cmocka_unit_test(test_site_that_is_not_there),
        cmocka_unit_test(test_number_of_no_site),
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_age_of_none),
        cmocka_unit_test(test_codes_of_no_block),
        cmocka_unit_test(test_event_too_long),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
