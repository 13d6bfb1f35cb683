/* SPDX-License-Identifier: MIT */
/* What `leaks` and `diff` print of synthetic recordings. */
#include "printed.h"
#include "view_diff.h"
#include "view_leaks.h"
#include "view_stacks.h"
#include "views_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define START RECORDING_BUILDER_START_TICKS

static const struct view_leaks_query all_leaks = {.at_ns = UINT64_MAX, .before_ns = UINT64_MAX};

/* ---- a log ----------------------------------------------------------------------------------- */

static void add_call(struct recording_builder *builder, uint64_t thread,
                     struct recording_builder_call call)
{
    call.ticks += START;
    recording_builder_add_call(builder, thread, &call);
}

/* Two paths of the program's own and one of the loader's; counters that agree with the calls. */
static struct recording_builder *build_log(void)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    header->mode = MALLOCTAP_MODE_LOG;
    header->end_ticks = START + 5000000000;
    strcpy(header->executable, "/usr/bin/app");
    strcpy(header->command_line, "app --log");
    struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, 4711, "app");
    slot->counters.calls[MALLOCTAP_OP_MALLOC][11] = 5;
    slot->counters.bytes[MALLOCTAP_OP_MALLOC] = 7500;
    slot->counters.frees = 2;
    slot->counters.frees_null = 1;
    uint32_t app = recording_builder_add_module(builder, "app", 0x400000, 0x500000, 0x400000);
    uint32_t loader = recording_builder_add_module(builder, "(gone)/ld-linux-x86-64.so.2", 0x700000,
                                                   0x800000, 0x700000);
    const uint64_t load[] = {recording_builder_frame(app, 0x1230),
                             recording_builder_frame(app, 0x2340)};
    const uint64_t insert[] = {recording_builder_frame(app, 0x4560)};
    const uint64_t open[] = {recording_builder_frame(loader, 0x7890),
                             recording_builder_frame(app, 0x2340)};
    uint32_t loads = recording_builder_add_stack(builder, load, 2, 0);
    uint32_t inserts = recording_builder_add_stack(builder, insert, 1, MALLOCTAP_STACK_TRUNCATED);
    uint32_t opens = recording_builder_add_stack(builder, open, 2, 0);
    const struct recording_builder_call calls[] = {
        {.stack = opens, .ticks = 1000000, .address = 0x1000, .size = 1200},
        {.stack = loads, .ticks = 2000000, .address = 0x2000, .size = 1500},
        {.stack = loads, .ticks = 1500000000, .address = 0x3000, .size = 1500},
        {.stack = inserts, .ticks = 2000000000, .address = 0x4000, .size = 2000},
        {.stack = loads, .ticks = 3000000000, .address = 0x5000, .size = 1300},
        {.op = MALLOCTAP_OP_FREE, .stack = loads, .ticks = 4000000000, .address = 0x4000},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        add_call(builder, slot->thread, calls[i]);
    return builder;
}

static void check_leaks(struct recording_builder *builder, struct view_leaks_query query,
                        const struct suppressions *hidden, enum emit_format format,
                        const char *name)
{
    static const struct suppressions none;
    struct malloctap_recording *recording = views_recording_open(builder);
    struct output output = output_begin();
    struct malloctap_error error = {{0}};
    struct view_leaks view;
    if (view_leaks_create(recording, query, hidden ? hidden : &none, &view, &error) < 0)
        fail_msg("%s", error.text);
    view_leaks_print(&view, format, output.file);
    view_leaks_destroy(&view);
    malloctap_recording_close(recording);
    assert_golden(&output, name);
}

static void leaks_of_a_log(void **state)
{
    struct recording_builder *builder = build_log();
    check_leaks(builder, all_leaks, NULL, EMIT_TEXT, "leaks.txt");
    check_leaks(builder, all_leaks, NULL, EMIT_JSON, "leaks.json");
    check_leaks(builder, all_leaks, NULL, EMIT_CSV, "leaks.csv");
    recording_builder_destroy(builder);
}

static void leaks_between_two_moments(void **state)
{
    struct recording_builder *builder = build_log();
    struct view_leaks_query query = all_leaks;
    query.growth = true;
    query.from_ns = 2500000000;
    query.at_ns = 4500000000;
    check_leaks(builder, query, NULL, EMIT_TEXT, "leaks-growth.txt");
    check_leaks(builder, query, NULL, EMIT_CSV, "leaks-growth.csv");
    recording_builder_destroy(builder);
}

static void leaks_of_a_choice(void **state)
{
    static const char text[] = "leak:^app$\n";
    struct recording_builder *builder = build_log();
    struct view_leaks_query query = all_leaks;
    struct suppressions hidden = {0};
    struct malloctap_error error;
    query.tid = 4711;
    query.since_ns = 500000;
    query.before_ns = 2600000000;
    query.runtime = true;
    query.rows_max = 1;
    check_leaks(builder, query, NULL, EMIT_TEXT, "leaks-choice.txt");
    assert_int_equal(suppressions_parse(&hidden, "x", text, sizeof text - 1, &error), 0);
    check_leaks(builder, all_leaks, &hidden, EMIT_TEXT, "leaks-suppressed.txt");
    suppressions_deinit(&hidden);
    recording_builder_destroy(builder);
}

/* Every caveat at once: calls that were lost, a ring, blocks and frees that do not match. */
static void leaks_of_a_damaged_log(void **state)
{
    struct recording_builder *builder = build_log();
    struct malloctap_header *header = recording_builder_header(builder);
    header->overwritten_until = START + 2500000;
    header->lost.records_overwritten = 3;
    header->lost.records_no_space = 40;
    header->lost_since = START + 4000000000;
    add_call(builder, 1,
             (struct recording_builder_call){
                 .op = MALLOCTAP_OP_FREE, .ticks = 4100000000, .address = 0x9000});
    add_call(builder, 1,
             (struct recording_builder_call){.ticks = 4200000000, .address = 0x3000, .size = 10});
    check_leaks(builder, all_leaks, NULL, EMIT_TEXT, "leaks-incomplete.txt");
    recording_builder_destroy(builder);
}

/* Lost after the moment that is asked for: nothing is missing then. */
static void later_losses_do_not_count(void **state)
{
    static const struct suppressions none;
    struct recording_builder *builder = build_log();
    struct malloctap_header *header = recording_builder_header(builder);
    struct malloctap_error error;
    struct view_leaks view;
    header->lost.records_no_space = 40;
    header->lost_since = START + 4000000000;
    struct malloctap_recording *recording = views_recording_open(builder);
    for (int before = 0; before < 2; before++) {
        struct view_leaks_query query = all_leaks;
        query.at_ns = before ? 3500000000 : 4500000000;
        assert_int_equal(view_leaks_create(recording, query, &none, &view, &error), 0);
        assert_int_equal(view_leaks_exact(&view), before);
        assert_int_equal(view.missing, before ? 0 : 40);
        view_leaks_destroy(&view);
    }
    malloctap_recording_close(recording);
    recording_builder_destroy(builder);
}

/* The counters know of calls that no loss tells of. */
static void calls_that_are_not_in_the_log_are_missed(void **state)
{
    static const struct suppressions none;
    struct recording_builder *builder = build_log();
    struct malloctap_error error;
    struct view_leaks view;
    recording_builder_add_thread(builder, 4712, "worker")->counters.frees = 7;
    struct malloctap_recording *recording = views_recording_open(builder);
    assert_int_equal(view_leaks_create(recording, all_leaks, &none, &view, &error), 0);
    assert_false(view_leaks_exact(&view));
    assert_int_equal(view.missing, 7);
    view_leaks_destroy(&view);
    malloctap_recording_close(recording);
    recording_builder_destroy(builder);
}

static void assert_stacks_exact(struct recording_builder *builder, bool live, bool exact,
                                uint64_t missing)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    const struct view_stacks_query query = {.calls = {.ops = AGGREGATE_OPS_ALLOC, .live = live},
                                            .op = "malloc"};
    struct malloctap_error error;
    struct view_stacks view;
    assert_int_equal(view_stacks_create(recording, query, &view, &error), 0);
    assert_int_equal(view_stacks_exact(&view), exact);
    assert_int_equal(view_stacks_missing(&view), missing);
    view_stacks_destroy(&view);
    malloctap_recording_close(recording);
}

/* Of allocations nothing may be missing for their number to be exact; for what is live, nothing. */
static void stacks_of_a_log_are_exact_where_no_call_is_missing(void **state)
{
    struct recording_builder *builder = build_log();
    assert_stacks_exact(builder, true, true, 0);
    struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, 4712, "worker");
    slot->counters.frees = 7;
    assert_stacks_exact(builder, false, true, 0);
    assert_stacks_exact(builder, true, false, 0);
    slot->counters.calls[MALLOCTAP_OP_MALLOC][3] = 2;
    assert_stacks_exact(builder, false, false, 2);
    recording_builder_destroy(builder);
}

/* Some of a path's calls may be among those without one. */
static void paths_that_found_no_space_leave_no_figure_exact(void **state)
{
    for (int lost = 0; lost < 2; lost++) {
        struct recording_builder *builder = build_log();
        struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, 4712, "worker");
        slot->counters.calls[MALLOCTAP_OP_MALLOC][3] = 1;
        recording_builder_header(builder)->lost.stacks_no_space = lost;
        add_call(
            builder, slot->thread,
            (struct recording_builder_call){.ticks = 4200000000, .address = 0x8000, .size = 10});
        assert_stacks_exact(builder, true, !lost, 0);
        check_leaks(builder, all_leaks, NULL, EMIT_TEXT,
                    lost ? "leaks-pathless.txt" : "leaks-no-stack.txt");
        recording_builder_destroy(builder);
    }
}

/* Counted, and then the process was killed: one call in each thread that lived. */
static void a_call_under_way_is_not_missing(void **state)
{
    struct recording_builder *builder = build_log();
    struct malloctap_header *header = recording_builder_header(builder);
    struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, 4712, "worker");
    header->state = MALLOCTAP_STATE_RUNNING;
    header->pid = UINT32_MAX; /* no process has it */
    slot->state = MALLOCTAP_THREAD_LIVE;
    slot->counters.calls[MALLOCTAP_OP_MALLOC][3] = 1;
    assert_stacks_exact(builder, true, true, 1);
    slot->counters.calls[MALLOCTAP_OP_MALLOC][3] = 3;
    assert_stacks_exact(builder, true, false, 3);
    recording_builder_destroy(builder);
}

/* It may have been switched to something else and back: the counters tell only at the end. */
static void a_switched_log_is_exact_only_where_nothing_is_missing(void **state)
{
    static const struct suppressions none;
    struct recording_builder *builder = build_log();
    struct malloctap_error error;
    struct view_leaks view;
    recording_builder_header(builder)->control.generation = 2;
    struct malloctap_recording *recording = views_recording_open(builder);
    for (int at_end = 0; at_end < 2; at_end++) {
        struct view_leaks_query query = all_leaks;
        query.at_ns = at_end ? UINT64_MAX : 3500000000;
        assert_int_equal(view_leaks_create(recording, query, &none, &view, &error), 0);
        assert_int_equal(view_leaks_exact(&view), at_end);
        assert_int_equal(view.switched, !at_end);
        view_leaks_destroy(&view);
    }
    malloctap_recording_close(recording);
    recording_builder_destroy(builder);
}

static void leaks_of_samples(void **state)
{
    struct views_recording built = views_recording_create();
    struct view_leaks_query query = all_leaks;
    query.min_bytes = 5000000;
    check_leaks(built.builder, query, NULL, EMIT_TEXT, "leaks-samples.txt");
    recording_builder_destroy(built.builder);
}

static void counting_alone_tells_of_no_blocks(void **state)
{
    static const struct suppressions none;
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_error error;
    struct view_leaks view;
    recording_builder_header(builder)->mode = MALLOCTAP_MODE_COUNT;
    struct malloctap_recording *recording = views_recording_open(builder);
    assert_int_equal(view_leaks_create(recording, all_leaks, &none, &view, &error), -1);
    assert_non_null(strstr(error.text, "mode count"));
    malloctap_recording_close(recording);
    recording_builder_destroy(builder);
}

/* ---- differences ----------------------------------------------------------------------------- */

static void check_diff_of(struct recording_builder *old, struct recording_builder *new,
                          struct view_diff_query query, enum emit_format format, const char *name)
{
    struct malloctap_recording *recordings[DIFF_SIDES] = {views_recording_open(old),
                                                          views_recording_open(new)};
    struct output output = output_begin();
    struct malloctap_error error = {{0}};
    struct view_diff view;
    if (view_diff_create(recordings, query, &view, &error) < 0)
        fail_msg("%s", error.text);
    view_diff_print(&view, format, output.file);
    view_diff_destroy(&view);
    assert_golden(&output, name);
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        malloctap_recording_close(recordings[side]);
}

static void check_diff(struct view_diff_query query, enum emit_format format, const char *name)
{
    struct recording_builder *log = build_log();
    struct views_recording samples = views_recording_create();
    check_diff_of(samples.builder, log, query, format, name);
    recording_builder_destroy(samples.builder);
    recording_builder_destroy(log);
}

/* What is missing of either is said, and nothing is called exact. */
static void diff_of_logs_that_miss_calls(void **state)
{
    struct recording_builder *old = build_log(), *new = build_log();
    struct malloctap_thread_slot *slot = recording_builder_add_thread(old, 4712, "worker");
    slot->counters.calls[MALLOCTAP_OP_MALLOC][3] = 1;
    recording_builder_header(new)->control.generation = 2;
    recording_builder_add_thread(new, 4712, "worker")->counters.frees = 3;
    add_call(new, 1,
             (struct recording_builder_call){
                 .op = MALLOCTAP_OP_FREE, .ticks = 4100000000, .address = 0x3000});
    const struct view_diff_query by_live = {.by = RANKING_BY_LIVE, .rows_max = 10};
    check_diff_of(old, new, by_live, EMIT_TEXT, "diff-incomplete.txt");
    recording_builder_destroy(old);
    recording_builder_destroy(new);
}

static void diff_of_samples_and_a_log(void **state)
{
    const struct view_diff_query by_calls = {.rows_max = 10};
    check_diff(by_calls, EMIT_TEXT, "diff.txt");
    check_diff(by_calls, EMIT_JSON, "diff.json");
    check_diff(by_calls, EMIT_CSV, "diff.csv");
}

static void diff_of_rates(void **state)
{
    const struct view_diff_query query = {
        .by = RANKING_BY_LIVE, .rows_max = 1, .per_second = true, .reverse = true, .depth = 1};
    check_diff(query, EMIT_TEXT, "diff-rates.txt");
}

static void a_log_has_no_times_to_compare(void **state)
{
    struct recording_builder *log = build_log();
    struct malloctap_recording *recordings[DIFF_SIDES] = {views_recording_open(log),
                                                          views_recording_open(log)};
    struct malloctap_error error = {{0}};
    struct view_diff view;
    const struct view_diff_query query = {.by = RANKING_BY_TIME};
    assert_int_equal(view_diff_create(recordings, query, &view, &error), -1);
    assert_non_null(strstr(error.text, "not timed"));
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        malloctap_recording_close(recordings[side]);
    recording_builder_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaks_of_a_log),
        cmocka_unit_test(leaks_between_two_moments),
        cmocka_unit_test(leaks_of_a_choice),
        cmocka_unit_test(leaks_of_a_damaged_log),
        cmocka_unit_test(later_losses_do_not_count),
        cmocka_unit_test(calls_that_are_not_in_the_log_are_missed),
        cmocka_unit_test(stacks_of_a_log_are_exact_where_no_call_is_missing),
        cmocka_unit_test(paths_that_found_no_space_leave_no_figure_exact),
        cmocka_unit_test(a_call_under_way_is_not_missing),
        cmocka_unit_test(a_switched_log_is_exact_only_where_nothing_is_missing),
        cmocka_unit_test(leaks_of_samples),
        cmocka_unit_test(counting_alone_tells_of_no_blocks),
        cmocka_unit_test(diff_of_samples_and_a_log),
        cmocka_unit_test(diff_of_logs_that_miss_calls),
        cmocka_unit_test(diff_of_rates),
        cmocka_unit_test(a_log_has_no_times_to_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
