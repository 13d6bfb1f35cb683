/* SPDX-License-Identifier: MIT */
/* The merge: every record once, in order of time, with little memory. */
#include "scratch.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct malloctap_merge *open_merge(struct malloctap_recording *recording, uint64_t from,
                                          uint64_t until)
{
    struct malloctap_merge *merge;
    struct malloctap_error error;
    if (malloctap_merge_open(recording, from, until, &merge, &error) != 0)
        fail_msg("%s", error.text);
    return merge;
}

static void expect_end(struct malloctap_merge *merge)
{
    struct malloctap_event event;
    assert_int_equal(malloctap_merge_next(merge, &event, NULL), 0);
    assert_int_equal(malloctap_merge_next(merge, &event, NULL), 0);
    malloctap_merge_close(merge);
}

static void add_call(struct recording_builder *builder, uint64_t thread, enum malloctap_op op,
                     uint64_t ticks, uint64_t address)
{
    struct recording_builder_call call = {.op = op, .ticks = ticks, .address = address};
    recording_builder_add_call(builder, thread, &call);
}

static void expect_call(struct malloctap_merge *merge, uint64_t thread, uint64_t ticks,
                        uint64_t address)
{
    struct malloctap_event event;
    struct malloctap_error error;
    int result = malloctap_merge_next(merge, &event, &error);
    if (result != 1)
        fail_msg("%s", result < 0 ? error.text : "no more records");
    assert_int_equal(malloctap_record_ticks(event.record), ticks);
    assert_int_equal(event.thread, thread);
    assert_int_equal(((const struct malloctap_sample *)event.record)->address, address);
}

static void test_no_records(void **state)
{
    struct malloctap_recording *recording = scratch_open(recording_builder_create());
    expect_end(open_merge(recording, 0, UINT64_MAX));
    malloctap_merge_close(NULL);
    malloctap_recording_close(recording);
}

/* ---- order --------------------------------------------------------------------------------- */

enum { THREADS = 7, CALLS = 20000 };

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % limit;
}

/* Threads that take turns, in chunks of all lengths: call i is of address i + 1. */
static struct recording_builder *interleaved(uint64_t *ticks, uint64_t *threads)
{
    struct recording_builder *builder = recording_builder_create();
    uint64_t now = 1000;
    random_state = 1;
    for (uint64_t i = 0; i < CALLS; i++) {
        now += random_below(4) == 0 ? 0 : random_below(1000);
        threads[i] = 1 + random_below(THREADS);
        ticks[i] = now;
        /* all of them ends of blocks, so that among equal ticks only the thread's number decides */
        add_call(builder, threads[i], MALLOCTAP_OP_FREE, now, i + 1);
        if (random_below(100) == 0)
            recording_builder_seal(builder, threads[i]);
    }
    return builder;
}

static void test_interleaved(void **state)
{
    static uint64_t ticks[CALLS], threads[CALLS], seen[CALLS];
    struct malloctap_recording *recording = scratch_open(interleaved(ticks, threads));
    struct malloctap_merge *merge = open_merge(recording, 0, UINT64_MAX);
    struct malloctap_event event;
    uint64_t last_ticks = 0, last_thread = 0, last_of_thread[THREADS + 1] = {0};
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(malloctap_merge_next(merge, &event, NULL), 1);
        uint64_t call = ((const struct malloctap_sample *)event.record)->address - 1;
        assert_true(call < CALLS && seen[call]++ == 0);
        assert_int_equal(malloctap_record_ticks(event.record), ticks[call]);
        assert_int_equal(event.thread, threads[call]);
        assert_true(ticks[call] > last_ticks ||
                    (ticks[call] == last_ticks && threads[call] >= last_thread));
        assert_true(last_of_thread[event.thread] <= call);
        last_ticks = ticks[call];
        last_thread = event.thread;
        last_of_thread[event.thread] = call;
    }
    expect_end(merge);
    malloctap_recording_close(recording);
}

/* At one tick blocks end before others begin; a thread's own calls keep their order. */
static void test_equal_ticks(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    add_call(builder, 1, MALLOCTAP_OP_MALLOC, 2000, 8);
    add_call(builder, 1, MALLOCTAP_OP_FREE, 2000, 16);
    add_call(builder, 2, MALLOCTAP_OP_FREE, 2000, 8);
    add_call(builder, 2, MALLOCTAP_OP_MALLOC, 2000, 24);
    add_call(builder, 3, MALLOCTAP_OP_FREE, 1999, 32);
    recording_builder_seal(builder, 3);
    add_call(builder, 3, MALLOCTAP_OP_FREE, 2000, 40); /* in a chunk that is opened at that tick */
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_merge *merge = open_merge(recording, 0, UINT64_MAX);
    expect_call(merge, 3, 1999, 32);
    expect_call(merge, 2, 2000, 8);
    expect_call(merge, 3, 2000, 40);
    expect_call(merge, 1, 2000, 8);
    expect_call(merge, 1, 2000, 16);
    expect_call(merge, 2, 2000, 24);
    expect_end(merge);
    malloctap_recording_close(recording);
}

/* A realloc's two records are far apart: another thread gets the old block in between. */
static void test_realloc_of_two_moments(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    struct recording_builder_call call = {
        .op = MALLOCTAP_OP_REALLOC, .ticks = 2000, .duration = 500, .old = 8, .address = 16};
    recording_builder_add_call(builder, 1, &call);
    add_call(builder, 2, MALLOCTAP_OP_MALLOC, 2100, 8);
    add_call(builder, 2, MALLOCTAP_OP_FREE, 2600, 8);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_merge *merge = open_merge(recording, 0, UINT64_MAX);
    expect_call(merge, 1, 2000, 8);
    expect_call(merge, 2, 2100, 8);
    expect_call(merge, 1, 2500, 16);
    expect_call(merge, 2, 2600, 8);
    expect_end(merge);
    malloctap_recording_close(recording);
}

static void test_samples_too(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_freed freed = {.ticks = 1500, .address = 8, .weight = 2};
    struct malloctap_sample sample = {.ticks = 1500, .address = 16, .weight = 2};
    recording_builder_add_alloc(builder, 1, sample);
    recording_builder_add_freed(builder, 2, freed);
    add_call(builder, 3, MALLOCTAP_OP_MALLOC, 1400, 24);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_merge *merge = open_merge(recording, 0, UINT64_MAX);
    expect_call(merge, 3, 1400, 24);
    expect_call(merge, 2, 1500, 8);
    expect_call(merge, 1, 1500, 16);
    expect_end(merge);
    malloctap_recording_close(recording);
}

/* ---- a part of the time -------------------------------------------------------------------- */

static void test_range(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    for (uint64_t i = 0; i < 100; i++) {
        add_call(builder, 1 + i % 2, MALLOCTAP_OP_MALLOC, 1000 + i, 8 * i + 8);
        if (i % 10 == 9)
            recording_builder_seal(builder, 1 + i % 2);
    }
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_merge *merge = open_merge(recording, 1025, 1063);
    for (uint64_t i = 25; i <= 63; i++)
        expect_call(merge, 1 + i % 2, 1000 + i, 8 * i + 8);
    expect_end(merge);
    expect_end(open_merge(recording, 1100, UINT64_MAX));
    expect_end(open_merge(recording, 0, 999));
    malloctap_recording_close(recording);
}

/* ---- memory -------------------------------------------------------------------------------- */

/* Threads that come one after another: one chunk at a time is held, not all. */
static void test_many_short_threads(void **state)
{
    enum { SHORT_THREADS = 3000, CALLS_EACH = 3 };
    struct recording_builder *builder = recording_builder_create();
    recording_builder_header(builder)->chunk_size = 16384;
    for (uint64_t i = 0; i < SHORT_THREADS * CALLS_EACH; i++)
        add_call(builder, 1 + i / CALLS_EACH, MALLOCTAP_OP_MALLOC, 1000 + i, 8 * i + 8);
    struct malloctap_recording *recording = scratch_open(builder);
    size_t before = mallinfo2().uordblks, most = 0;
    struct malloctap_merge *merge = open_merge(recording, 0, UINT64_MAX);
    for (uint64_t i = 0; i < SHORT_THREADS * CALLS_EACH; i++) {
        expect_call(merge, 1 + i / CALLS_EACH, 1000 + i, 8 * i + 8);
        size_t now = mallinfo2().uordblks;
        most = now > most ? now : most;
    }
    expect_end(merge);
    malloctap_recording_close(recording);
    assert_true(most < before + SHORT_THREADS * 160 + 2 * 16384);
}

/* ---- damage -------------------------------------------------------------------------------- */

static void test_damaged_chunk(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    uint8_t no_event[] = {7, 0};
    add_call(builder, 1, MALLOCTAP_OP_MALLOC, 1000, 8);
    recording_builder_add_log(builder, 1, 1000, no_event, sizeof(no_event));
    recording_builder_seal(builder, 1);
    add_call(builder, 1, MALLOCTAP_OP_MALLOC, 1003, 24);
    add_call(builder, 2, MALLOCTAP_OP_MALLOC, 1001, 16);
    recording_builder_add_log(builder, 3, 1002, no_event, sizeof(no_event)); /* nothing else */
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_merge *merge = open_merge(recording, 0, UINT64_MAX);
    struct malloctap_event event;
    expect_call(merge, 1, 1000, 8);
    assert_int_equal(malloctap_merge_next(merge, &event, NULL), -1);
    expect_call(merge, 2, 1001, 16);
    assert_int_equal(malloctap_merge_next(merge, &event, NULL), -1);
    expect_call(merge, 1, 1003, 24);
    expect_end(merge);

    merge = open_merge(recording, 1003, UINT64_MAX); /* after the end of the first chunk */
    assert_int_equal(malloctap_merge_next(merge, &event, NULL), -1);
    expect_call(merge, 1, 1003, 24);
    expect_end(merge);
    malloctap_recording_close(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_records),         cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_equal_ticks),        cmocka_unit_test(test_realloc_of_two_moments),
        cmocka_unit_test(test_samples_too),        cmocka_unit_test(test_range),
        cmocka_unit_test(test_many_short_threads), cmocka_unit_test(test_damaged_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
