/* SPDX-License-Identifier: MIT */
/* The cursor: every record of every chunk in order of claim, and damage told once a chunk. */
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void add_alloc(struct recording_builder *builder, uint64_t thread, uint64_t ticks)
{
    recording_builder_add_alloc(
        builder, thread,
        (struct malloctap_sample){
            .head = {.op = MALLOCTAP_OP_CALLOC}, .ticks = ticks, .size = 10, .weight = 2});
}

static struct malloctap_cursor *open_cursor(struct malloctap_recording *recording)
{
    struct malloctap_cursor *cursor;
    struct malloctap_error error;
    if (malloctap_cursor_open(recording, &cursor, &error) != 0)
        fail_msg("%s", error.text);
    return cursor;
}

static void expect_record(struct malloctap_cursor *cursor, uint64_t thread, uint64_t ticks)
{
    struct malloctap_event event;
    struct malloctap_error error;
    int result = malloctap_cursor_next(cursor, &event, &error);
    if (result < 0)
        fail_msg("%s", error.text);
    assert_int_equal(result, 1);
    assert_int_equal(event.thread, thread);
    assert_int_equal(malloctap_record_ticks(event.record), ticks);
}

static void expect_damage(struct malloctap_cursor *cursor, const char *text)
{
    struct malloctap_event event;
    struct malloctap_error error;
    assert_int_equal(malloctap_cursor_next(cursor, &event, &error), -1);
    scratch_expect_error(&error, text);
}

static void expect_end(struct malloctap_cursor *cursor)
{
    struct malloctap_event event;
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 0);
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 0);
}

static void test_no_records(void **state)
{
    struct malloctap_recording *recording = scratch_open(recording_builder_create());
    struct malloctap_cursor *cursor = open_cursor(recording);
    expect_end(cursor);
    malloctap_cursor_close(cursor);
    malloctap_cursor_close(NULL);
    malloctap_recording_close(recording);
}

static void test_fields(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_add_thread(builder, 77, "main");
    struct malloctap_sample sample = {.head = {.op = MALLOCTAP_OP_ALIGNED, .stack = 5},
                                      .ticks = 1,
                                      .address = 2,
                                      .size = 3,
                                      .weight = 4.5,
                                      .flags = MALLOCTAP_SAMPLE_UNTRACKED};
    struct malloctap_freed freed = {.head = {.op = MALLOCTAP_OP_FREE, .stack = 6},
                                    .ticks = 7,
                                    .address = 8,
                                    .size = 9,
                                    .weight = 10,
                                    .allocated_ticks = 11};
    recording_builder_add_alloc(builder, 1, sample);
    recording_builder_add_freed(builder, 1, freed);
    recording_builder_add_free(builder, 1, sample);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    struct malloctap_event event;

    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    assert_int_equal(event.thread, 1);
    assert_int_equal(event.tid, 77);
    sample.head.kind = MALLOCTAP_RECORD_ALLOC;
    sample.head.length = sizeof(sample);
    assert_memory_equal(event.record, &sample, sizeof(sample));

    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    freed.head.kind = MALLOCTAP_RECORD_FREED;
    freed.head.length = sizeof(freed);
    assert_memory_equal(event.record, &freed, sizeof(freed));
    assert_int_equal(malloctap_record_ticks(event.record), 7);

    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    assert_int_equal(event.record->kind, MALLOCTAP_RECORD_FREE);
    expect_end(cursor);
    malloctap_cursor_close(cursor);
    malloctap_recording_close(recording);
}

/* Two threads take turns, a chunk each, in extents of one chunk each. */
static void test_order_of_claim(void **state)
{
    enum { CHUNKS = 8, RECORDS = (CHUNKS - 1) * RECORDING_BUILDER_CHUNK_SAMPLES + 7 };
    struct recording_builder *builder = recording_builder_create();
    recording_builder_split(builder, MALLOCTAP_EXTENT_CHUNKS, RECORDING_BUILDER_CHUNK_SIZE);
    for (int i = 0; i < RECORDS; i++)
        add_alloc(builder, 1 + (uint64_t)(i / (int)RECORDING_BUILDER_CHUNK_SAMPLES % 2),
                  1000 + (uint64_t)i);
    size_t size;
    uint8_t *image = recording_builder_image(builder, &size);
    struct malloctap_header *header = (struct malloctap_header *)image;
    assert_int_equal(header->extent_count, CHUNKS);
    for (uint32_t i = 0; i < CHUNKS / 2; i++) { /* lay the chunks out in reverse */
        uint64_t offset = header->extents[i].offset;
        header->extents[i].offset = header->extents[CHUNKS - 1 - i].offset;
        header->extents[CHUNKS - 1 - i].offset = offset;
    }
    scratch_write(image, size);
    free(image);
    recording_builder_destroy(builder);

    struct malloctap_recording *recording = scratch_reopen();
    struct malloctap_cursor *cursor = open_cursor(recording);
    for (int i = 0; i < RECORDS; i++)
        expect_record(cursor, 1 + (uint64_t)(i / (int)RECORDING_BUILDER_CHUNK_SAMPLES % 2),
                      1000 + (uint64_t)i);
    expect_end(cursor);
    malloctap_cursor_close(cursor);
    malloctap_recording_close(recording);
}

/* A later version may add kinds of records, and fields at the end of known ones. */
static void test_unknown_and_longer(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_record unknown[3] = {{.kind = 200, .op = 99, .length = sizeof(unknown)}};
    struct {
        struct malloctap_freed freed;
        uint64_t added;
    } longer = {.freed = {.head = {.kind = MALLOCTAP_RECORD_FREED, .length = sizeof(longer)},
                          .ticks = 5,
                          .weight = 1}};
    recording_builder_add_record(builder, 1, unknown, sizeof(unknown));
    recording_builder_add_record(builder, 1, &longer, sizeof(longer));
    recording_builder_add_record(builder, 1, unknown, sizeof(unknown));
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    expect_record(cursor, 1, 5);
    expect_end(cursor);
    malloctap_cursor_close(cursor);
    malloctap_recording_close(recording);
}

/* ---- damage -------------------------------------------------------------------------------- */

/* Three chunks of two records each; `at` is in the second chunk. */
static struct malloctap_recording *open_damaged(size_t at, uint64_t value, size_t value_size)
{
    struct recording_builder *builder = recording_builder_create();
    for (uint64_t i = 0; i < 6; i++) {
        add_alloc(builder, 1, 1000 + i);
        if (i % 2 == 1)
            recording_builder_seal(builder, 1);
    }
    size_t size;
    uint8_t *image = recording_builder_image(builder, &size);
    const struct malloctap_header *header = (const struct malloctap_header *)image;
    memcpy(image + header->extents[0].offset + RECORDING_BUILDER_CHUNK_SIZE + at, &value,
           value_size);
    scratch_write(image, size);
    free(image);
    recording_builder_destroy(builder);
    return scratch_reopen();
}

#define LOST "; what follows in that chunk is lost, the other chunks can be read"
#define FIRST_RECORD sizeof(struct malloctap_chunk)
#define SECOND_RECORD (FIRST_RECORD + sizeof(struct malloctap_sample))

static const struct damage {
    size_t at;
    size_t size;
    uint64_t value;
    uint64_t records_before; /* of the second chunk */
    const char *error;
} damages[] = {
    {offsetof(struct malloctap_chunk, committed), 4, 4040, 0,
     "damaged chunk 1 (bad committed at byte 4 of it)" LOST},
    {offsetof(struct malloctap_chunk, committed), 4, 0xfffffff8, 0,
     "damaged chunk 1 (bad committed at byte 4 of it)" LOST},
    {offsetof(struct malloctap_chunk, committed), 4, 127, 0,
     "damaged chunk 1 (bad committed at byte 4 of it)" LOST},
    {offsetof(struct malloctap_chunk, committed), 4, 152, 1,
     "damaged chunk 1 (bad record length at byte 144 of it)" LOST},
    {FIRST_RECORD + offsetof(struct malloctap_record, length), 2, 0, 0,
     "damaged chunk 1 (bad record length at byte 64 of it)" LOST},
    {SECOND_RECORD + offsetof(struct malloctap_record, length), 2, 60, 1,
     "damaged chunk 1 (bad record length at byte 144 of it)" LOST},
    {SECOND_RECORD + offsetof(struct malloctap_record, length), 2, 88, 1,
     "damaged chunk 1 (bad record length at byte 144 of it)" LOST},
    {SECOND_RECORD + offsetof(struct malloctap_record, length), 2, 72, 1,
     "damaged chunk 1 (bad record length at byte 144 of it)" LOST},
    {FIRST_RECORD + offsetof(struct malloctap_record, op), 1, MALLOCTAP_OPS, 0,
     "damaged chunk 1 (bad record operation at byte 64 of it)" LOST},
    {SECOND_RECORD + offsetof(struct malloctap_sample, weight), 8, 0x7ff8000000000000, 1,
     "damaged chunk 1 (bad record weight at byte 144 of it)" LOST}, /* not a number */
    {SECOND_RECORD + offsetof(struct malloctap_sample, weight), 8, 0x7ff0000000000000, 1,
     "damaged chunk 1 (bad record weight at byte 144 of it)" LOST}, /* infinite */
    {SECOND_RECORD + offsetof(struct malloctap_sample, weight), 8, 0x3fe0000000000000, 1,
     "damaged chunk 1 (bad record weight at byte 144 of it)" LOST}, /* 0.5 */
};

static void test_damaged_chunk(void **state)
{
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct malloctap_recording *recording =
            open_damaged(damages[i].at, damages[i].value, damages[i].size);
        struct malloctap_cursor *cursor = open_cursor(recording);
        expect_record(cursor, 1, 1000);
        expect_record(cursor, 1, 1001);
        if (damages[i].records_before == 1)
            expect_record(cursor, 1, 1002);
        expect_damage(cursor, damages[i].error);
        expect_record(cursor, 1, 1004);
        expect_record(cursor, 1, 1005);
        expect_end(cursor);
        malloctap_cursor_close(cursor);
        malloctap_recording_close(recording);
    }
}

static void test_same_sequence(void **state)
{
    struct malloctap_recording *recording =
        open_damaged(offsetof(struct malloctap_chunk, sequence), 1, 8);
    struct malloctap_cursor *cursor = open_cursor(recording);
    struct malloctap_event event;
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), -1);
    expect_record(cursor, 1, 1004);
    expect_record(cursor, 1, 1005);
    expect_end(cursor);
    malloctap_cursor_close(cursor);
    malloctap_recording_close(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_records),     cmocka_unit_test(test_fields),
        cmocka_unit_test(test_order_of_claim), cmocka_unit_test(test_unknown_and_longer),
        cmocka_unit_test(test_damaged_chunk),  cmocka_unit_test(test_same_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
