/* SPDX-License-Identifier: MIT */
/* What the views say where figures are not those of all calls, so that nobody takes them for it. */
#include "printed.h"
#include "view_stacks.h"
#include "view_summary.h"
#include "view_threads.h"
#include "views_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct view_stacks_query by_calls = {
    .calls = {.ops = AGGREGATE_OPS_ALLOC, .live = true},
    .op = "malloc",
};

static void assert_contains(struct output *output, const char *words)
{
    output_end(output);
    if (!strstr(output->text, words))
        fail_msg("not said: %s\n%s", words, output->text);
    free(output->text);
}

static void assert_stacks_say(struct recording_builder *builder, struct view_stacks_query query,
                              const char *words)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    struct output output = output_begin();
    struct view_stacks view;
    struct malloctap_error error;
    if (view_stacks_create(recording, query, &view, &error) < 0)
        fail_msg("%s", error.text);
    view_stacks_print(&view, EMIT_TEXT, output.file);
    view_stacks_destroy(&view);
    assert_contains(&output, words);
    malloctap_recording_close(recording);
}

static void assert_threads_say(struct recording_builder *builder, enum emit_format format,
                               const char *words)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    struct output output = output_begin();
    struct view_threads view;
    view_threads_create(recording, &view);
    view_threads_print(&view, format, output.file);
    view_threads_destroy(&view);
    assert_contains(&output, words);
    malloctap_recording_close(recording);
}

static void assert_summary_says(struct recording_builder *builder, const char *words)
{
    struct malloctap_recording *recording = views_recording_open(builder);
    struct output output = output_begin();
    struct malloctap_error error;
    assert_int_equal(view_summary_print(recording, EMIT_TEXT, output.file, &error), 0);
    assert_contains(&output, words);
    malloctap_recording_close(recording);
}

/* Where other calls were timed, and none of the kind asked for was sampled. */
static void no_such_call_is_no_mistake(void **state)
{
    struct views_recording built = views_recording_create();
    struct view_stacks_query query = by_calls;
    query.calls.ops = AGGREGATE_OPS_FREE;
    query.ranking.by = RANKING_BY_TIME;
    assert_stacks_say(built.builder, query, "No such call was recorded.");
    recording_builder_destroy(built.builder);
}

static void logged_calls_have_no_time(void **state)
{
    struct views_recording built = views_recording_create();
    views_recording_add_probes(&built);
    struct view_stacks_query query = by_calls;
    query.ranking.by = RANKING_BY_TIME;
    recording_builder_add_call(built.builder, built.main_thread,
                               &(struct recording_builder_call){
                                   .op = MALLOCTAP_OP_MALLOC,
                                   .stack = built.load,
                                   .ticks = RECORDING_BUILDER_START_TICKS + 300000000,
                                   .address = 1 << 24,
                                   .size = 100,
                               });
    assert_stacks_say(built.builder, query,
                      "No time is counted for samples that were logged, not timed (1), that");
    recording_builder_destroy(built.builder);
}

/* Large calls are always sampled, so that their figure has no error; but small ones of the same
 * path may have gone unseen. */
static void large_calls_alone_are_a_rough_guess_of_calls(void **state)
{
    struct views_recording built = views_recording_create();
    struct view_stacks_query query = by_calls;
    for (uint64_t i = 0; i < 12; i++)
        recording_builder_add_alloc(built.builder, built.main_thread,
                                    (struct malloctap_sample){
                                        .head = {.op = MALLOCTAP_OP_MALLOC},
                                        .ticks = RECORDING_BUILDER_START_TICKS + 400000000 + i,
                                        .address = (1 + i) << 30,
                                        .size = 1 << 28,
                                        .weight = 1,
                                    });
    assert_stacks_say(built.builder, query, "12 calls,  3.0G bytes  (12 samples: a rough guess)");
    query.ranking.by = RANKING_BY_BYTES;
    assert_stacks_say(built.builder, query, "3.0G bytes,  12 calls  (12 samples)");
    recording_builder_destroy(built.builder);
}

/* 30 probed calls with a weight of 10,000 among 1,440,000 that were counted. */
static void times_of_a_switched_recording_are_not_of_all_calls(void **state)
{
    static const char words[] = "switched meanwhile; calls that could be probed are 20.8 % of all.";
    struct views_recording built = views_recording_create();
    views_recording_add_probes(&built);
    struct malloctap_header *header = recording_builder_header(built.builder);
    header->control.generation = 1;
    header->control.modes = 1u << header->mode | 1u << MALLOCTAP_MODE_COUNT;
    assert_summary_says(built.builder, words);
    assert_threads_say(built.builder, EMIT_TEXT, words);
    assert_threads_say(built.builder, EMIT_JSON, "\"probed_share\": 0.208333");
    recording_builder_destroy(built.builder);
}

/* Threads that share a row have it in every form: else columns would not add up. */
static void threads_without_a_row_of_their_own_are_in_the_csv(void **state)
{
    struct views_recording built = views_recording_create();
    struct malloctap_header *header = recording_builder_header(built.builder);
    header->unslotted.frees = 77;
    header->exited.threads[0] = 2;
    header->exited.copy[0].calls[MALLOCTAP_OP_CALLOC][7] = 50000;
    assert_threads_say(built.builder, EMIT_CSV, "\n,\"(2 more, exited)\",0,50000,0,0,0,0,0,,");
    assert_threads_say(built.builder, EMIT_CSV, "\n,(without a slot),0,0,0,0,77,0,0,,");
    recording_builder_destroy(built.builder);
}

/* The calls that waited were overwritten since: what is left must not be taken for the whole run.
 */
static void waiting_that_was_overwritten_is_told(void **state)
{
    struct views_recording built = views_recording_create();
    views_recording_add_probes(&built);
    struct malloctap_header *header = recording_builder_header(built.builder);
    header->lost.records_overwritten = 900;
    header->overwritten_until = RECORDING_BUILDER_START_TICKS + 150000000;
    assert_summary_says(built.builder,
                        "waiting      850.0 ms ± 4.500 s in all; no record of it is left\n");
    assert_summary_says(built.builder,
                        "the others   100.0 % of calls were fast from 150.0 ms on\n");
    recording_builder_destroy(built.builder);
}

/* Of a path that was cut short it is not known which functions it would go through further out. */
static void functions_beyond_the_cut_may_have_more(void **state)
{
    static const char words[] =
        "NOT COMPLETE: 300,000 ± 55,000 calls on paths that were cut short; functions further out";
    struct views_recording built = views_recording_create();
    struct view_stacks_query query = by_calls;
    query.ranking.callers = true;
    assert_stacks_say(built.builder, query, words);
    query.ranking.callers = false;
    query.ranking.function = "main";
    assert_stacks_say(built.builder, query, words);
    recording_builder_destroy(built.builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_such_call_is_no_mistake),
        cmocka_unit_test(logged_calls_have_no_time),
        cmocka_unit_test(large_calls_alone_are_a_rough_guess_of_calls),
        cmocka_unit_test(times_of_a_switched_recording_are_not_of_all_calls),
        cmocka_unit_test(threads_without_a_row_of_their_own_are_in_the_csv),
        cmocka_unit_test(waiting_that_was_overwritten_is_told),
        cmocka_unit_test(functions_beyond_the_cut_may_have_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
