/* SPDX-License-Identifier: MIT */
/* The log: what was encoded comes out, and nothing that is not an event does. */
#include "scratch.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef FORMAT_DOCUMENT
#error "the build names the document"
#endif

static struct malloctap_cursor *open_cursor(struct malloctap_recording *recording)
{
    struct malloctap_cursor *cursor;
    struct malloctap_error error;
    if (malloctap_cursor_open(recording, &cursor, &error) != 0)
        fail_msg("%s", error.text);
    return cursor;
}

static struct malloctap_event next(struct malloctap_cursor *cursor)
{
    struct malloctap_event event;
    struct malloctap_error error;
    int result = malloctap_cursor_next(cursor, &event, &error);
    if (result != 1)
        fail_msg("%s", result < 0 ? error.text : "no more records");
    return event;
}

static void expect_end(struct malloctap_cursor *cursor)
{
    struct malloctap_event event;
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 0);
    malloctap_cursor_close(cursor);
}

/* ---- what was encoded comes out ------------------------------------------------------------ */

static void expect_sample(const struct malloctap_event *event, enum malloctap_record_kind kind,
                          const struct recording_builder_call *call, uint64_t ticks,
                          uint64_t address, uint64_t size)
{
    const struct malloctap_sample *sample = (const struct malloctap_sample *)event->record;
    assert_true(event->logged);
    assert_int_equal(sample->head.kind, kind);
    assert_int_equal(sample->head.op, call->op);
    assert_int_equal(sample->head.length, sizeof(*sample));
    assert_int_equal(sample->head.stack, call->stack);
    assert_int_equal(sample->ticks, ticks);
    assert_int_equal(sample->address, address);
    assert_int_equal(sample->size, size);
    assert_true(sample->weight == 1);
    assert_int_equal(sample->probe, MALLOCTAP_PROBE_NONE);
    bool failed = call->failed && kind == MALLOCTAP_RECORD_ALLOC;
    assert_int_equal(sample->flags, failed ? MALLOCTAP_SAMPLE_FAILED : 0);
}

static void expect_call(struct malloctap_cursor *cursor, uint64_t thread,
                        const struct recording_builder_call *call)
{
    struct malloctap_event event = next(cursor);
    assert_int_equal(event.thread, thread);
    if (call->op == MALLOCTAP_OP_FREE) {
        expect_sample(&event, MALLOCTAP_RECORD_FREE, call, call->ticks, call->address, 0);
        return;
    }
    if (call->old != 0 && !call->failed) {
        expect_sample(&event, MALLOCTAP_RECORD_FREE, call, call->ticks, call->old, 0);
        assert_int_equal(event.old, 0);
        event = next(cursor);
    }
    expect_sample(&event, MALLOCTAP_RECORD_ALLOC, call, call->ticks + call->duration, call->address,
                  call->size);
    assert_int_equal(event.old, call->old);
}

static const struct recording_builder_call calls[] = {
    {.op = MALLOCTAP_OP_MALLOC, .ticks = 1000, .stack = 1, .address = 0x7f0000001010, .size = 1},
    {.op = MALLOCTAP_OP_CALLOC, .ticks = 1000, .stack = 0, .address = 0x55555555a2a0, .size = 0},
    {.op = MALLOCTAP_OP_ALIGNED, .ticks = 1255, .stack = 9, .address = 0x55555555a000, .size = 256},
    {.op = MALLOCTAP_OP_FREE, .ticks = 1256, .stack = UINT32_MAX, .address = 0x55555555a000},
    {.op = MALLOCTAP_OP_FREE, .ticks = 70000, .stack = UINT32_MAX}, /* free(NULL) */
    {.op = MALLOCTAP_OP_MALLOC, .failed = true, .ticks = 1 << 24, .size = UINT64_MAX},
    {.op = MALLOCTAP_OP_MALLOC, .ticks = UINT64_MAX / 2, .address = 3, .size = UINT64_MAX / 2},
    {.op = MALLOCTAP_OP_MALLOC, .ticks = UINT64_MAX / 2 - 9, .address = UINT64_MAX}, /* older */
    /* moved, in place, in place to size 0, freed, new, failed, failed of NULL */
    {.op = MALLOCTAP_OP_REALLOC, .ticks = 5, .old = 16, .address = 0x2000010, .size = 9},
    {.op = MALLOCTAP_OP_REALLOC, .ticks = 6, .old = 48, .address = 48, .size = 7, .duration = 99},
    {.op = MALLOCTAP_OP_REALLOC, .ticks = 7, .old = 48, .address = 48, .duration = 1u << 30},
    {.op = MALLOCTAP_OP_REALLOC, .ticks = 8, .old = 80, .duration = 2},
    {.op = MALLOCTAP_OP_REALLOC, .ticks = 9, .address = 96, .size = 300, .duration = 2},
    {.op = MALLOCTAP_OP_REALLOC, .failed = true, .ticks = 10, .old = 96, .size = 1},
    {.op = MALLOCTAP_OP_REALLOC, .failed = true, .ticks = 11, .size = 1, .duration = 3},
    {.op = MALLOCTAP_OP_FREE, .ticks = 12, .address = 96},
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void test_every_kind_of_call(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_add_thread(builder, 77, "main");
    for (int i = 0; i < CALLS; i++)
        recording_builder_add_call(builder, 1, &calls[i]);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    for (int i = 0; i < CALLS; i++)
        expect_call(cursor, 1, &calls[i]);
    expect_end(cursor);
    malloctap_recording_close(recording);
}

/* xorshift64*: the same everywhere. */
static uint64_t random_bits(uint64_t *state, unsigned bits)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return bits == 0 ? 0 : *state * 0x2545f4914f6cdd1dULL >> (64 - bits);
}

/* Numbers of all widths: each field has every length. */
static struct recording_builder_call random_call(uint64_t *state)
{
    struct recording_builder_call call = {
        .op = (enum malloctap_op)(random_bits(state, 16) % MALLOCTAP_OPS),
        .stack = (uint32_t)random_bits(state, (unsigned)random_bits(state, 5)),
        .ticks = random_bits(state, (unsigned)random_bits(state, 6)),
        .address = random_bits(state, 1 + (unsigned)random_bits(state, 6) % 63) * 8 + 8,
    };
    if (call.op != MALLOCTAP_OP_FREE) {
        call.size = random_bits(state, (unsigned)random_bits(state, 6));
        call.failed = random_bits(state, 3) == 0;
    }
    if (call.op == MALLOCTAP_OP_REALLOC) {
        call.old = random_bits(state, 1) ? random_bits(state, 47) : call.address;
        call.duration = random_bits(state, (unsigned)random_bits(state, 6));
    }
    if (call.failed)
        call.address = 0;
    return call;
}

static void test_random_calls(void **state)
{
    enum { RANDOM_CALLS = 20000 };
    uint64_t seed = 12345;
    struct recording_builder *builder = recording_builder_create();
    for (int i = 0; i < RANDOM_CALLS; i++) {
        struct recording_builder_call call = random_call(&seed);
        recording_builder_add_call(builder, 1, &call);
    }
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    seed = 12345;
    for (int i = 0; i < RANDOM_CALLS; i++) {
        struct recording_builder_call call = random_call(&seed);
        expect_call(cursor, 1, &call);
    }
    expect_end(cursor);
    malloctap_recording_close(recording);
}

/* A recording switched from samples to a log and back. */
static void test_samples_between(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_sample sample = {.ticks = 1002, .weight = 3};
    recording_builder_add_call(builder, 1, &calls[0]);
    recording_builder_add_alloc(builder, 1, sample);
    recording_builder_add_call(builder, 1, &calls[2]);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    expect_call(cursor, 1, &calls[0]);
    struct malloctap_event event = next(cursor);
    assert_false(event.logged);
    assert_int_equal(malloctap_record_ticks(event.record), 1002);
    expect_call(cursor, 1, &calls[2]);
    expect_end(cursor);
    malloctap_recording_close(recording);
}

/* ---- the document -------------------------------------------------------------------------- */

/* The bytes at the beginning of a line: "a0 3c  ...". */
static size_t hexadecimal(const char *line, uint8_t *bytes)
{
    size_t count = 0;
    for (; isxdigit(line[0]) && isxdigit(line[1]) && isspace(line[2]); line += 3)
        bytes[count++] = (uint8_t)strtoul(line, NULL, 16);
    return count;
}

struct row {
    bool obtained;
    char op[16];
    unsigned long long ticks, address, size;
    unsigned stack;
};

static bool parse_row(const char *line, struct row *ret)
{
    char what[16];
    if (sscanf(line, "| %15[a-z ] | %15[A-Z] | %llu | %llx | %llu | %u |", what, ret->op,
               &ret->ticks, &ret->address, &ret->size, &ret->stack) != 6)
        return false;
    ret->obtained = strncmp(what, "obtained", 8) == 0;
    return true;
}

static void expect_row(const struct malloctap_event *event, const struct row *row)
{
    static const char *const names[] = {"MALLOC", "CALLOC", "REALLOC", "ALIGNED", "FREE"};
    const struct malloctap_sample *sample = (const struct malloctap_sample *)event->record;
    assert_int_equal(sample->head.kind == MALLOCTAP_RECORD_ALLOC, row->obtained);
    assert_string_equal(names[sample->head.op], row->op);
    assert_int_equal(sample->ticks, row->ticks);
    assert_int_equal(sample->address, row->address);
    assert_int_equal(sample->size, row->size);
    assert_int_equal(sample->head.stack, row->stack);
}

/* The example in docs/FORMAT.md reads as it says. */
static void test_document(void **state)
{
    FILE *document = fopen(FORMAT_DOCUMENT, "r");
    char line[2000];
    uint8_t bytes[sizeof(line)];
    struct row row;
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_recording *recording = NULL;
    struct malloctap_cursor *cursor = NULL;
    int events = 0, rows = 0;
    assert_non_null(document);
    while (fgets(line, sizeof(line), document) != NULL) {
        size_t size = hexadecimal(line, bytes);
        if (size >= 4) { /* "be" may also be a word */
            recording_builder_add_log(builder, 1, 1000, bytes, size);
            events++;
        }
        if (!parse_row(line, &row))
            continue;
        if (cursor == NULL) {
            recording = scratch_open(builder);
            cursor = open_cursor(recording);
        }
        struct malloctap_event event = next(cursor);
        expect_row(&event, &row);
        rows++;
    }
    fclose(document);
    assert_int_equal(events, 3);
    assert_int_equal(rows, 4);
    expect_end(cursor);
    malloctap_recording_close(recording);
}

/* ---- damage -------------------------------------------------------------------------------- */

#define LOST "; what follows in that chunk is lost, the other chunks can be read"

/* A sound event of two bytes, then these: damaged where they begin. */
static void expect_damaged(const void *bytes, size_t size)
{
    static const uint8_t sound[] = {MALLOCTAP_OP_MALLOC, 0};
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_event event;
    struct malloctap_error error;
    recording_builder_add_log(builder, 1, 1000, sound, sizeof(sound));
    recording_builder_add_log(builder, 1, 1000, bytes, size);
    recording_builder_seal(builder, 1);
    recording_builder_add_call(builder, 1, &calls[0]);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    next(cursor);
    assert_int_equal(malloctap_cursor_next(cursor, &event, &error), -1);
    scratch_expect_error(&error, "damaged chunk 0 (bad log event at byte 66 of it)" LOST);
    expect_call(cursor, 1, &calls[0]);
    expect_end(cursor);
    malloctap_recording_close(recording);
}

static void test_no_such_event(void **state)
{
    static const uint16_t tags[] = {
        5,
        6,
        7,                                                 /* operations */
        5 << MALLOCTAP_LOG_STACK_SHIFT,                    /* stacks of more than four bytes */
        7 << MALLOCTAP_LOG_STACK_SHIFT,                    /**/
        MALLOCTAP_OP_FREE | 1 << MALLOCTAP_LOG_SIZE_SHIFT, /* a free with a size */
        MALLOCTAP_LOG_FAILED | 1 << MALLOCTAP_LOG_ADDRESS_SHIFT, /* a failed call's block */
    };
    uint8_t bytes[MALLOCTAP_LOG_EVENT_MAX] = {0};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        bytes[0] = (uint8_t)tags[i];
        bytes[1] = (uint8_t)(tags[i] >> 8);
        expect_damaged(bytes, sizeof(bytes));
    }
    static const uint8_t unused_bits[] = {MALLOCTAP_OP_REALLOC, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0};
    expect_damaged(unused_bits, sizeof(unused_bits));
}

/* An event that ends beyond `committed`, wherever it is cut. */
static void test_cut_in_an_event(void **state)
{
    uint8_t longest[47];
    memset(longest, 0x11, sizeof(longest));
    unsigned tag = MALLOCTAP_OP_REALLOC | 7u << MALLOCTAP_LOG_TIME_SHIFT |
                   4u << MALLOCTAP_LOG_STACK_SHIFT | 7u << MALLOCTAP_LOG_ADDRESS_SHIFT |
                   7u << MALLOCTAP_LOG_SIZE_SHIFT;
    longest[0] = (uint8_t)tag;
    longest[1] = (uint8_t)(tag >> 8);
    longest[2] = 7u << MALLOCTAP_LOG_OLD_SHIFT | 7u << MALLOCTAP_LOG_DURATION_SHIFT;
    for (size_t size = 1; size < sizeof(longest); size++)
        expect_damaged(longest, size);
}

/* The chunk's last event ends with the chunk. */
static void test_full_chunk(void **state)
{
    uint8_t events[RECORDING_BUILDER_CHUNK_SIZE - sizeof(struct malloctap_chunk)] = {0};
    struct recording_builder *builder = recording_builder_create();
    recording_builder_add_log(builder, 1, 1000, events, sizeof(events));
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor = open_cursor(recording);
    for (size_t i = 0; i < sizeof(events) / 2; i++)
        next(cursor);
    expect_end(cursor);
    malloctap_recording_close(recording);
}

/* What a later version may put into chunks is passed over. */
static void test_unknown_content(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_add_call(builder, 1, &calls[0]);
    recording_builder_seal(builder, 1);
    recording_builder_add_call(builder, 1, &calls[1]);
    size_t size;
    uint8_t *image = recording_builder_image(builder, &size);
    uint64_t chunks = ((const struct malloctap_header *)image)->extents[0].offset;
    ((struct malloctap_chunk *)(image + chunks))->content = MALLOCTAP_CHUNK_LOG + 1;
    scratch_write(image, size);
    free(image);
    recording_builder_destroy(builder);
    struct malloctap_recording *recording = scratch_reopen();
    struct malloctap_cursor *cursor = open_cursor(recording);
    expect_call(cursor, 1, &calls[1]);
    expect_end(cursor);
    malloctap_recording_close(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_call), cmocka_unit_test(test_random_calls),
        cmocka_unit_test(test_samples_between),    cmocka_unit_test(test_document),
        cmocka_unit_test(test_no_such_event),      cmocka_unit_test(test_cut_in_an_event),
        cmocka_unit_test(test_full_chunk),         cmocka_unit_test(test_unknown_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
