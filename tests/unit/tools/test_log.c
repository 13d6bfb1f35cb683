/* SPDX-License-Identifier: MIT */
/* `malloctap log`: which records are shown, and how. */
#include "recording_builder.h"
#include "view_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/malloctap-log-XXXXXX";

static int create_file(void **state)
{
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int remove_file(void **state)
{
    return unlink(path);
}

static const struct view_log_query everything = {
    .until_ns = UINT64_MAX, .ops = UINT32_MAX, .max_size = UINT64_MAX};

/* What is printed; to be freed. */
static char *print(struct recording_builder *builder, struct view_log_query query,
                   enum emit_format format)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    char *text;
    size_t size;
    assert_int_equal(recording_builder_write(builder, path), 0);
    recording_builder_destroy(builder);
    FILE *out = open_memstream(&text, &size);
    if (malloctap_recording_open(path, &recording, &error) != 0 ||
        view_log_print(recording, &query, format, out, &error) != 0)
        fail_msg("%s", error.text);
    malloctap_recording_close(recording);
    fclose(out);
    return text;
}

static void expect(struct recording_builder *builder, struct view_log_query query,
                   enum emit_format format, const char *text)
{
    char *printed = print(builder, query, format);
    assert_string_equal(printed, text);
    free(printed);
}

/* Two threads; the worker resizes and frees what the main thread allocated. */
static struct recording_builder *two_threads(void)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_header(builder)->mode = MALLOCTAP_MODE_LOG;
    recording_builder_add_thread(builder, 4711, "main");
    recording_builder_add_thread(builder, 4712, "worker");
    const uint64_t frames[] = {0x1000, 0x2000};
    uint32_t inner = recording_builder_add_stack(builder, frames, 2, 0);
    uint32_t outer = recording_builder_add_stack(builder, frames + 1, 1, 0);
    const struct {
        uint64_t thread;
        struct recording_builder_call call;
    } calls[] = {
        {1,
         {.op = MALLOCTAP_OP_MALLOC, .ticks = 1100, .address = 0x10, .size = 100, .stack = inner}},
        {2,
         {.op = MALLOCTAP_OP_REALLOC,
          .ticks = 2000001000,
          .duration = 500,
          .old = 0x10,
          .address = 0x20,
          .size = 5000,
          .stack = outer}},
        {2, {.op = MALLOCTAP_OP_FREE, .ticks = 2000002000, .address = 0x20, .stack = inner}},
        {1,
         {.op = MALLOCTAP_OP_CALLOC,
          .failed = true,
          .ticks = 2000003000,
          .size = 7,
          .stack = outer}},
        {1, {.op = MALLOCTAP_OP_FREE, .ticks = 2000004000}},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        recording_builder_add_call(builder, calls[i].thread, &calls[i].call);
    return builder;
}

#define HEADER                                                                                     \
    "Every call, in order of time.\nLost: nothing.\n\n"                                            \
    "         seconds      tid  op            address              size\n"
#define MALLOC "     0.000000100     4711  malloc        0x10                  100\n"
#define RESIZE_FREE "     2.000000000     4712  realloc-free  0x10                    0\n"
#define RESIZE "     2.000000500     4712  realloc       0x20                 5000  was 0x10\n"
#define FREE "     2.000001000     4712  free          0x20                    0\n"
#define CALLOC "     2.000002000     4711  calloc        NULL                    7  failed\n"
#define FREE_NULL "     2.000003000     4711  free          NULL                    0\n"

static void test_text(void **state)
{
    expect(two_threads(), everything, EMIT_TEXT,
           HEADER MALLOC RESIZE_FREE RESIZE FREE CALLOC FREE_NULL);
}

static void test_json(void **state)
{
    expect(two_threads(), everything, EMIT_JSON,
           "{\"time\":100,\"tid\":4711,\"op\":\"malloc\",\"address\":\"0x10\",\"size\":100}\n"
           "{\"time\":2000000000,\"tid\":4712,\"op\":\"realloc-free\",\"address\":\"0x10\","
           "\"size\":0}\n"
           "{\"time\":2000000500,\"tid\":4712,\"op\":\"realloc\",\"address\":\"0x20\","
           "\"size\":5000,\"old\":\"0x10\"}\n"
           "{\"time\":2000001000,\"tid\":4712,\"op\":\"free\",\"address\":\"0x20\",\"size\":0}\n"
           "{\"time\":2000002000,\"tid\":4711,\"op\":\"calloc\",\"address\":null,\"size\":7,"
           "\"failed\":true}\n"
           "{\"time\":2000003000,\"tid\":4711,\"op\":\"free\",\"address\":null,\"size\":0}\n");
}

static void test_csv(void **state)
{
    expect(two_threads(), everything, EMIT_CSV,
           "time,tid,op,address,size,old,failed,weight\r\n"
           "100,4711,malloc,0x10,100,,0,1\r\n"
           "2000000000,4712,realloc-free,0x10,0,,0,1\r\n"
           "2000000500,4712,realloc,0x20,5000,0x10,0,1\r\n"
           "2000001000,4712,free,0x20,0,,0,1\r\n"
           "2000002000,4711,calloc,,7,,1,1\r\n"
           "2000003000,4711,free,,0,,0,1\r\n");
}

static void test_stacks(void **state)
{
    struct view_log_query query = everything;
    query.stacks = true;
    query.rows_max = 2;
    expect(two_threads(), query, EMIT_TEXT,
           HEADER MALLOC "        0x1000\n        0x2000\n" RESIZE_FREE "        0x2000\n");
    query.rows_max = 1;
    expect(two_threads(), query, EMIT_CSV,
           "time,tid,op,address,size,old,failed,weight,stack\r\n"
           "100,4711,malloc,0x10,100,,0,1,0x1000;0x2000\r\n");
    char *json = print(two_threads(), query, EMIT_JSON);
    assert_non_null(strstr(json, "\"size\":100,\"stack\":[{\"function\":null,"));
    assert_string_equal(json + strlen(json) - 4, "}]}\n");
    free(json);
}

static void test_filters(void **state)
{
    struct view_log_query query = everything;
    query.since_ns = 2000000500;
    query.until_ns = 2000001000;
    expect(two_threads(), query, EMIT_TEXT, HEADER RESIZE FREE);
    query = everything;
    query.thread = "4711";
    expect(two_threads(), query, EMIT_TEXT, HEADER MALLOC CALLOC FREE_NULL);
    query.thread = "worker";
    expect(two_threads(), query, EMIT_TEXT, HEADER RESIZE_FREE RESIZE FREE);
    query = everything;
    query.ops = 1u << MALLOCTAP_OP_REALLOC | 1u << MALLOCTAP_OP_FREE;
    expect(two_threads(), query, EMIT_TEXT, HEADER RESIZE_FREE RESIZE FREE FREE_NULL);
    query = everything;
    query.min_size = 100;
    expect(two_threads(), query, EMIT_TEXT, HEADER MALLOC RESIZE);
    query.max_size = 100;
    expect(two_threads(), query, EMIT_TEXT, HEADER MALLOC);
    query = everything;
    query.function = "no_such_function";
    expect(two_threads(), query, EMIT_TEXT, HEADER "No such call was recorded.\n");
}

/* Of a clock with ticks of several nanoseconds, or several in one, each event is at the time that
 * is printed. */
static void test_window_between_ticks(void **state)
{
    const uint64_t ns[] = {1599, 1600, 1601, 1615, 1616};
    struct view_log_query query = everything;
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
        struct recording_builder *builder = two_threads();
        recording_builder_header(builder)->clock_mult = 16;
        query.until_ns = ns[i];
        expect(builder, query, EMIT_CSV,
               ns[i] < 1600 ? "time,tid,op,address,size,old,failed,weight\r\n"
                            : "time,tid,op,address,size,old,failed,weight\r\n"
                              "1600,4711,malloc,0x10,100,,0,1\r\n");
    }
    struct recording_builder *builder = two_threads();
    recording_builder_header(builder)->clock_shift = 1;
    query.since_ns = query.until_ns = 1000000250;
    expect(builder, query, EMIT_CSV,
           "time,tid,op,address,size,old,failed,weight\r\n"
           "1000000250,4712,realloc,0x20,5000,0x10,0,1\r\n");
}

static void test_no_such_thread(void **state)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    struct recording_builder *builder = two_threads();
    struct view_log_query query = everything;
    char expected[200];
    assert_int_equal(recording_builder_write(builder, path), 0);
    recording_builder_destroy(builder);
    assert_int_equal(malloctap_recording_open(path, &recording, NULL), 0);
    query.thread = "nobody";
    assert_int_equal(view_log_print(recording, &query, EMIT_TEXT, stdout, &error), -1);
    snprintf(expected, sizeof expected,
             "%s: no thread nobody in it; `malloctap threads` lists them", path);
    assert_string_equal(error.text, expected);
    query.thread = "4713";
    assert_int_equal(view_log_print(recording, &query, EMIT_TEXT, stdout, &error), -1);
    malloctap_recording_close(recording);
}

/* Of many threads not every number is kept: one that is not found may have been. */
static void test_thread_whose_slot_was_reused(void **state)
{
    struct recording_builder *builder = two_threads();
    struct view_log_query query = everything;
    query.thread = "4713";
    recording_builder_header(builder)->exited.threads[0] = 1;
    expect(builder, query, EMIT_TEXT, HEADER "No such call was recorded.\n");
}

static void test_samples(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_sample sample = {.ticks = 1500, .address = 0x10, .size = 64, .weight = 12.5};
    struct malloctap_freed freed = {.head = {.op = MALLOCTAP_OP_FREE},
                                    .ticks = 1600,
                                    .address = 0x10,
                                    .size = 64,
                                    .weight = 12.5};
    recording_builder_add_alloc(builder, 1, sample);
    recording_builder_add_freed(builder, 1, freed);
    expect(builder, everything, EMIT_TEXT,
           "Sampled calls, in order of time; one marked xN stands for N calls.\nLost: nothing.\n\n"
           "         seconds      tid  op            address              size\n"
           "     0.000000500        0  malloc        0x10                   64  x12.5\n"
           "     0.000000600        0  freed         0x10                   64  x12.5\n");
}

/* What is missing, and when. */
static void test_incomplete(void **state)
{
    struct recording_builder *builder = two_threads();
    struct view_log_query query = everything;
    struct malloctap_header *header = recording_builder_header(builder);
    header->overwritten_until = 1050;
    header->lost_since = 3000001000;
    header->lost.records_overwritten = 5;
    query.rows_max = 1;
    expect(builder, query, EMIT_TEXT,
           "Every call, in order of time.\nLost: 5 records overwritten by newer ones.\n"
           "Until 0.000000050 not all are there: newer ones took their place.\n"
           "From 3.000000000 on not all are there: there was no space.\n\n"
           "         seconds      tid  op            address              size\n" MALLOC);
}

static void test_only_counted(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_header(builder)->mode = MALLOCTAP_MODE_COUNT;
    char *text = print(builder, everything, EMIT_TEXT);
    assert_non_null(strstr(text, "Calls were only counted (mode count); record with -m log.\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_stacks),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_window_between_ticks),
        cmocka_unit_test(test_no_such_thread),
        cmocka_unit_test(test_thread_whose_slot_was_reused),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_only_counted),
        cmocka_unit_test(test_incomplete),
    };
    return cmocka_run_group_tests(tests, create_file, remove_file);
}
