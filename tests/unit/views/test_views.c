/* SPDX-License-Identifier: MIT */
/* What the views print of a synthetic recording. */
#include "printed.h"
#include "view_frames.h"
#include "view_stacks.h"
#include "view_summary.h"
#include "view_threads.h"
#include "views_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- views ----------------------------------------------------------------------------------- */

static const struct view_stacks_query by_calls = {
    .calls = {.ops = AGGREGATE_OPS_ALLOC, .live = true},
    .op = "malloc",
    .rows_max = 10,
};

static void print_stacks(struct malloctap_recording *recording, struct view_stacks_query query,
                         enum emit_format format, FILE *out)
{
    struct view_stacks view;
    struct malloctap_error error;
    if (view_stacks_create(recording, query, &view, &error) < 0)
        fail_msg("%s", error.text);
    view_stacks_print(&view, format, out);
    view_stacks_destroy(&view);
}

static void check_stacks(struct view_stacks_query query, enum emit_format format, const char *name)
{
    struct views_recording built = views_recording_create();
    struct malloctap_recording *recording = views_recording_open(built.builder);
    struct output output = output_begin();
    print_stacks(recording, query, format, output.file);
    assert_golden(&output, name);
    malloctap_recording_close(recording);
    recording_builder_destroy(built.builder);
}

static void stacks_text(void **state)
{
    check_stacks(by_calls, EMIT_TEXT, "stacks.txt");
}

static void stacks_reverse_by_live(void **state)
{
    struct view_stacks_query query = by_calls;
    query.ranking.by = RANKING_BY_LIVE;
    query.reverse = true;
    query.ranking.depth = 1;
    check_stacks(query, EMIT_TEXT, "stacks-live-reverse.txt");
}

static void stacks_json(void **state)
{
    check_stacks(by_calls, EMIT_JSON, "stacks.json");
}

static void stacks_csv(void **state)
{
    check_stacks(by_calls, EMIT_CSV, "stacks.csv");
}

static void stacks_of_one_thread(void **state)
{
    struct view_stacks_query query = by_calls;
    query.calls.tid = 4712;
    query.rows_max = 1;
    check_stacks(query, EMIT_TEXT, "stacks-thread.txt");
}

static struct views_recording probed_recording(void)
{
    struct views_recording built = views_recording_create();
    views_recording_add_probes(&built);
    return built;
}

static void check_probed_stacks(enum ranking_by by, uint32_t ops, const char *op,
                                enum emit_format format, const char *name)
{
    struct views_recording built = probed_recording();
    struct malloctap_recording *recording = views_recording_open(built.builder);
    struct view_stacks_query query = by_calls;
    query.ranking.by = by;
    query.calls.ops = ops;
    query.op = op;
    struct output output = output_begin();
    print_stacks(recording, query, format, output.file);
    assert_golden(&output, name);
    malloctap_recording_close(recording);
    recording_builder_destroy(built.builder);
}

static void stacks_by_time_and_waiting(void **state)
{
    const uint32_t alloc = AGGREGATE_OPS_ALLOC, both = AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE;
    check_probed_stacks(RANKING_BY_TIME, both, "all", EMIT_TEXT, "stacks-time.txt");
    check_probed_stacks(RANKING_BY_TIME, AGGREGATE_OPS_FREE, "free", EMIT_TEXT,
                        "stacks-time-free.txt");
    check_probed_stacks(RANKING_BY_WAIT, alloc, "malloc", EMIT_TEXT, "stacks-wait.txt");
    check_probed_stacks(RANKING_BY_WAIT, alloc, "malloc", EMIT_JSON, "stacks-wait.json");
}

static void functions_without_names(void **state)
{
    struct views_recording built = views_recording_create();
    struct malloctap_recording *recording = views_recording_open(built.builder);
    struct view_stacks_query query = by_calls;
    query.ranking.callers = true;
    struct output output = output_begin();
    print_stacks(recording, query, EMIT_TEXT, output.file);
    output_end(&output);
    assert_non_null(strstr(output.text, "Functions, with all calls under each, ranked by calls"));
    assert_non_null(strstr(output.text, "No function on these paths has a known name."));
    free(output.text);
    malloctap_recording_close(recording);
    recording_builder_destroy(built.builder);
}

static void stacks_of_a_part_of_the_run(void **state)
{
    struct views_recording built = probed_recording();
    struct malloctap_header *header = recording_builder_header(built.builder);
    header->lost.records_overwritten = 900;
    header->overwritten_until = RECORDING_BUILDER_START_TICKS + 50000000;
    struct malloctap_recording *recording = views_recording_open(built.builder);
    struct view_stacks_query query = by_calls;
    struct output output = output_begin();
    print_stacks(recording, query, EMIT_TEXT, output.file);
    query.calls.until_ns = 150000000;
    query.rows_max = 1;
    print_stacks(recording, query, EMIT_TEXT, output.file);
    assert_golden(&output, "stacks-part.txt");
    malloctap_recording_close(recording);
    recording_builder_destroy(built.builder);
}

static void assert_refused(struct recording_builder *builder, struct view_stacks_query query,
                           const char *words)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    struct malloctap_error error;
    struct view_stacks view;
    assert_int_equal(view_stacks_create(recording, query, &view, &error), -1);
    if (!strstr(error.text, words))
        fail_msg("said: %s", error.text);
    malloctap_recording_close(recording);
}

static void what_cannot_be_ranked_is_said(void **state)
{
    struct views_recording built = views_recording_create();
    struct view_stacks_query query = by_calls;
    query.ranking.by = RANKING_BY_TIME;
    assert_refused(built.builder, query, "none of these calls was timed");
    recording_builder_add_alloc(built.builder, built.main_thread,
                                (struct malloctap_sample){.head.stack = built.load,
                                                          .address = 1 << 20,
                                                          .weight = 10,
                                                          .probe = MALLOCTAP_PROBE_UNCLASSED,
                                                          .time_ns = 50});
    query.ranking.by = RANKING_BY_WAIT;
    assert_refused(built.builder, query, "which calls waited is not known");
    recording_builder_destroy(built.builder);

    struct recording_builder *counted = recording_builder_create();
    recording_builder_header(counted)->mode = MALLOCTAP_MODE_COUNT;
    assert_refused(counted, by_calls, "mode count");
    recording_builder_destroy(counted);
}

static void missing_records_show_in_the_header(void **state)
{
    struct views_recording built = views_recording_create();
    recording_builder_header(built.builder)->lost.records_overwritten = 900;
    recording_builder_add_thread(built.builder, 4713, "busy")
        ->counters.calls[MALLOCTAP_OP_MALLOC][3] = 9000000;
    struct malloctap_recording *recording = views_recording_open(built.builder);
    struct output output = output_begin();
    print_stacks(recording, by_calls, EMIT_TEXT, output.file);
    output_end(&output);
    assert_non_null(strstr(output.text, "900 records overwritten by newer ones"));
    assert_non_null(strstr(output.text, "stand for 9.9 % of these calls"));
    free(output.text);
    malloctap_recording_close(recording);
    recording_builder_destroy(built.builder);
}

static void assert_shortened(const char *name, const char *expected)
{
    struct output output = output_begin();
    view_frames_function(name, output.file);
    output_end(&output);
    assert_string_equal(output.text, expected);
    free(output.text);
}

#define LONG "a_template_argument_that_is_so_long_that_the_name_must_be_shortened_to_be_read"

static void long_names_are_shortened(void **state)
{
    assert_shortened("short<int>::name<3>", "short<int>::name<3>");
    assert_shortened("std::map<int, x<" LONG "> >::emplace<int>", "std::map<...>::emplace<...>");
    assert_shortened("a::operator<< <" LONG ">", "a::operator<< <...>");
    assert_shortened("a<" LONG ">::operator->", "a<...>::operator->");
    assert_shortened("<vec<" LONG "> as iter>::next", "<vec<...> as iter>::next");
    assert_shortened("call<fn(" LONG ") -> u8>::once", "call<...>::once");
    assert_shortened("plain_" LONG, "plain_" LONG);
}

static void check_threads(struct views_recording built, uint32_t tid, enum emit_format format,
                          const char *name)
{
    struct malloctap_recording *recording = views_recording_open(built.builder);
    struct output output = output_begin();
    struct view_threads view;
    view_threads_create(recording, &view);
    view.only = view_threads_find(&view, tid);
    view_threads_print(&view, format, output.file);
    view_threads_destroy(&view);
    assert_golden(&output, name);
    malloctap_recording_close(recording);
    recording_builder_destroy(built.builder);
}

static void threads(void **state)
{
    check_threads(views_recording_create(), 0, EMIT_TEXT, "threads.txt");
    check_threads(views_recording_create(), 0, EMIT_JSON, "threads.json");
    check_threads(views_recording_create(), 0, EMIT_CSV, "threads.csv");
}

/* Two more threads ended and were summed up. */
static struct views_recording recording_with_folded_threads(void)
{
    struct views_recording built = probed_recording();
    struct malloctap_header *header = recording_builder_header(built.builder);
    header->exited.threads[0] = 2;
    header->exited.copy[0].calls[MALLOCTAP_OP_MALLOC][7] = 50000;
    struct malloctap_latency *row = built.folded;
    row->ops[MALLOCTAP_OP_MALLOC].samples = 5;
    row->ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_FAST] = 50000;
    row->ops[MALLOCTAP_OP_MALLOC].buckets[36] = 50000;
    row->ops[MALLOCTAP_OP_MALLOC].time_ns = 5000000;
    row->ops[MALLOCTAP_OP_MALLOC].time_variance = 5e12;
    row->ops[MALLOCTAP_OP_MALLOC].max_ns = 100;
    return built;
}

static void threads_with_latencies(void **state)
{
    check_threads(recording_with_folded_threads(), 0, EMIT_TEXT, "threads-probed.txt");
    check_threads(recording_with_folded_threads(), 4712, EMIT_TEXT, "threads-probed-one.txt");
    check_threads(recording_with_folded_threads(), 0, EMIT_JSON, "threads-probed.json");
    check_threads(recording_with_folded_threads(), 0, EMIT_CSV, "threads-probed.csv");
}

/* No word from the kernel: times, but nothing about waiting. */
static void threads_where_the_kernel_may_not_be_asked(void **state)
{
    struct views_recording built = views_recording_create();
    struct malloctap_latency *row = recording_builder_add_latency(built.builder);
    row->thread = built.main_thread;
    row->ops[MALLOCTAP_OP_MALLOC].samples = 20;
    row->ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_UNCLASSED] = 200000;
    row->ops[MALLOCTAP_OP_MALLOC].buckets[36] = 200000;
    row->ops[MALLOCTAP_OP_MALLOC].time_ns = 20000000;
    row->ops[MALLOCTAP_OP_MALLOC].max_ns = 100;
    check_threads(built, 0, EMIT_TEXT, "threads-unclassed.txt");
}

static void check_summary(struct recording_builder *builder, enum emit_format format,
                          const char *name)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    struct output output = output_begin();
    struct malloctap_error error;
    assert_int_equal(view_summary_print(recording, format, output.file, &error), 0);
    assert_golden(&output, name);
    malloctap_recording_close(recording);
}

static void summary(void **state)
{
    struct views_recording built = views_recording_create();
    check_summary(built.builder, EMIT_TEXT, "summary.txt");
    check_summary(built.builder, EMIT_JSON, "summary.json");
    check_summary(built.builder, EMIT_CSV, "summary.csv");
    recording_builder_destroy(built.builder);
}

static void summary_with_probes(void **state)
{
    struct views_recording built = probed_recording();
    check_summary(built.builder, EMIT_TEXT, "summary-probed.txt");
    check_summary(built.builder, EMIT_JSON, "summary-probed.json");
    recording_builder_destroy(built.builder);
}

/* Two lists of mtmalloc's with caches of two sizes each, and its large blocks. */
static void add_locks(struct recording_builder *builder)
{
    static const struct malloctap_lock_row oversize = {.kind = MALLOCTAP_LOCK_OVERSIZE,
                                                       .acquisitions = 20,
                                                       .held_bytes = 9 << 20,
                                                       .buffers = 5,
                                                       .in_use = 3,
                                                       .in_use_bytes = 6 << 20,
                                                       .requested_bytes = 11 << 19};
    for (uint32_t list = 0; list < 2; list++) {
        *recording_builder_add_lock(builder) =
            (struct malloctap_lock_row){.kind = MALLOCTAP_LOCK_PARENT,
                                        .list = list,
                                        .acquisitions = 450000,
                                        .contended = 1200,
                                        .wait_ns = 3400000,
                                        .wait_max_ns = 56000 + list};
        for (uint32_t size = 64; size <= 4096; size *= 64)
            *recording_builder_add_lock(builder) =
                (struct malloctap_lock_row){.kind = MALLOCTAP_LOCK_CACHE,
                                            .list = list,
                                            .buffer_size = size,
                                            .caches = 2,
                                            .acquisitions = 300000 + size,
                                            .contended = list,
                                            .wait_ns = list * 7000,
                                            .wait_max_ns = list * 7000,
                                            .held_bytes = 144 << 10,
                                            .buffers = 100000 / size,
                                            .in_use = 40000 / size,
                                            .in_use_bytes = 40000 / size * size,
                                            .requested_bytes = 30000};
    }
    *recording_builder_add_lock(builder) = oversize;
}

static void assert_says(struct recording_builder *builder, const char *words)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    struct output output = output_begin();
    struct malloctap_error error;
    assert_int_equal(view_summary_print(recording, EMIT_TEXT, output.file, &error), 0);
    output_end(&output);
    if (!strstr(output.text, words))
        fail_msg("not said: %s\n%s", words, output.text);
    free(output.text);
    malloctap_recording_close(recording);
}

static void what_is_not_known_of_time_is_said(void **state)
{
    struct views_recording built = views_recording_create();
    assert_says(built.builder, "thread time  not measured: no call was timed");
    struct malloctap_latency *row = recording_builder_add_latency(built.builder);
    row->thread = built.main_thread;
    row->ops[MALLOCTAP_OP_MALLOC].samples = 20;
    row->ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_UNCLASSED] = 200000;
    row->ops[MALLOCTAP_OP_MALLOC].time_ns = 25000000; /* of two lives of 1 and 0.25 seconds */
    assert_says(built.builder, "thread time  2.0 % in the allocator\n");
    assert_says(built.builder, "waiting      not known");
    recording_builder_destroy(built.builder);
}

static void a_log_shows_no_errors(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_header(builder)->mode = MALLOCTAP_MODE_LOG;
    struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, 4711, "app");
    slot->counters.calls[MALLOCTAP_OP_MALLOC][7] = 3;
    const uint64_t frame = recording_builder_frame(0, 0x1230);
    uint32_t stack = recording_builder_add_stack(builder, &frame, 1, 0);
    for (uint64_t i = 1; i <= 3; i++)
        recording_builder_add_call(builder, slot->thread,
                                   &(struct recording_builder_call){
                                       .op = MALLOCTAP_OP_MALLOC,
                                       .stack = stack,
                                       .ticks = RECORDING_BUILDER_START_TICKS + i,
                                       .address = 64 * i,
                                       .size = 100,
                                   });
    assert_says(builder, "calls in a log are not timed");
    assert_says(builder, "   1  100.0 %  3 calls,  300 bytes\n");
    assert_says(builder, "malloctap leaks app.mtap");
    recording_builder_destroy(builder);
}

/* mtmalloc's locks and losses: what a plain recording has not. */
static struct views_recording recording_of_everything(void)
{
    struct views_recording built = views_recording_create();
    struct malloctap_header *header = recording_builder_header(built.builder);
    strcpy(header->backend, "mtmalloc");
    strcpy(header->backend_object, "built in");
    header->state = MALLOCTAP_STATE_RUNNING;
    header->end_ticks = 0;
    header->pid = 0; /* no such process any more */
    header->lost.foreign_blocks = 3;
    add_locks(built.builder);
    return built;
}

static void summary_of_everything(void **state)
{
    struct views_recording built = recording_of_everything();
    check_summary(built.builder, EMIT_TEXT, "summary-everything.txt");
    check_summary(built.builder, EMIT_JSON, "summary-everything.json");
    recording_builder_destroy(built.builder);
}

static void threads_of_everything(void **state)
{
    check_threads(recording_of_everything(), 0, EMIT_TEXT, "threads-everything.txt");
    check_threads(recording_of_everything(), 0, EMIT_JSON, "threads-everything.json");
}

static void summary_of_nothing(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    check_summary(builder, EMIT_TEXT, "summary-nothing.txt");
    recording_builder_destroy(builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_text),
        cmocka_unit_test(stacks_reverse_by_live),
        cmocka_unit_test(stacks_json),
        cmocka_unit_test(stacks_csv),
        cmocka_unit_test(stacks_of_one_thread),
        cmocka_unit_test(stacks_by_time_and_waiting),
        cmocka_unit_test(functions_without_names),
        cmocka_unit_test(stacks_of_a_part_of_the_run),
        cmocka_unit_test(what_cannot_be_ranked_is_said),
        cmocka_unit_test(missing_records_show_in_the_header),
        cmocka_unit_test(long_names_are_shortened),
        cmocka_unit_test(threads),
        cmocka_unit_test(threads_with_latencies),
        cmocka_unit_test(threads_where_the_kernel_may_not_be_asked),
        cmocka_unit_test(summary),
        cmocka_unit_test(summary_with_probes),
        cmocka_unit_test(what_is_not_known_of_time_is_said),
        cmocka_unit_test(a_log_shows_no_errors),
        cmocka_unit_test(summary_of_everything),
        cmocka_unit_test(threads_of_everything),
        cmocka_unit_test(summary_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
