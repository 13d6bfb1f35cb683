/* SPDX-License-Identifier: MIT */
/* Sums of synthetic recordings against known truth. */
#include "built.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct aggregate_query allocations = {.ops = AGGREGATE_OPS_ALLOC, .live = true};

static struct malloctap_freed freed(struct malloctap_sample allocated)
{
    return (struct malloctap_freed){
        .head = {.op = MALLOCTAP_OP_FREE, .stack = allocated.head.stack},
        .ticks = allocated.ticks + 1,
        .address = allocated.address,
        .size = allocated.size,
        .weight = allocated.weight,
        .allocated_ticks = allocated.ticks,
    };
}

static void assert_close(double value, double expected)
{
    assert_float_equal(value, expected, 1e-9 * fmax(1, fabs(expected)));
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void weights_make_sums_and_errors(void **state)
{
    struct built built = built_create();
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 16, 100, 4));
    recording_builder_add_alloc(built.builder, built.second,
                                built_sample(built.stack, 32, 1000, 1.5));
    recording_builder_add_alloc(built.builder, built.first,
                                built_sample(built.other_stack, 48, 7, 1));
    struct aggregate aggregate = built_aggregate(built.builder, allocations);

    const struct aggregate_sums *sums = built_sums(&aggregate, built.stack);
    assert_int_equal(sums->samples, 2);
    assert_close(sums->calls.value, 5.5);
    assert_close(estimate_stderr(sums->calls), sqrt(4 * 3 + 1.5 * 0.5));
    assert_close(sums->bytes.value, 400 + 1500);
    assert_close(estimate_stderr(sums->bytes), sqrt(4 * 3 * 1e4 + 1.5 * 0.5 * 1e6));

    sums = built_sums(&aggregate, built.other_stack);
    assert_close(estimate_stderr(sums->calls), 0); /* certain to be sampled: nothing estimated */
    assert_close(aggregate.all.calls.value, 6.5);
    assert_int_equal(aggregate.all.samples, 3);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void failed_calls_count_but_got_no_bytes(void **state)
{
    struct built built = built_create();
    struct malloctap_sample failed = built_sample(built.stack, 0, 1 << 20, 2);
    failed.flags = MALLOCTAP_SAMPLE_FAILED;
    recording_builder_add_alloc(built.builder, built.first, failed);
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.calls.value, 2);
    assert_close(aggregate.all.bytes.value, 0);
    assert_close(aggregate.all.live_bytes.value, 0);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void queries_select_operations_and_threads(void **state)
{
    struct built built = built_create();
    struct malloctap_sample free_call = built_sample(built.other_stack, 16, 0, 3);
    free_call.head.op = MALLOCTAP_OP_FREE;
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 16, 100, 2));
    recording_builder_add_alloc(built.builder, built.second, built_sample(built.stack, 32, 100, 5));
    recording_builder_add_free(built.builder, built.first, free_call);

    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.calls.value, 7);
    aggregate_deinit(&aggregate);
    aggregate = built_aggregate(built.builder, (struct aggregate_query){.ops = AGGREGATE_OPS_FREE});
    assert_close(aggregate.all.calls.value, 3);
    aggregate_deinit(&aggregate);
    aggregate = built_aggregate(
        built.builder,
        (struct aggregate_query){.ops = AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE, .tid = 101});
    assert_close(aggregate.all.calls.value, 5);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* A thread whose number another one had before, that was summed up with others since. */
static void numbers_that_are_used_again(void **state)
{
    struct built built = built_create();
    struct malloctap_thread_slot *before = recording_builder_add_thread(built.builder, 101, "old");
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 16, 100, 2));
    recording_builder_add_alloc(built.builder, before->thread,
                                built_sample(built.stack, 32, 100, 5));
    before->state = MALLOCTAP_THREAD_UNUSED;
    before->thread = 0;
    struct aggregate_query query = {.ops = AGGREGATE_OPS_ALLOC, .tid = 101};
    struct aggregate aggregate = built_aggregate(built.builder, query);
    assert_close(aggregate.all.calls.value, 2);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static struct malloctap_sample probed(struct malloctap_sample sample, enum malloctap_probe probe,
                                      uint64_t time_ns, uint64_t wait_ns)
{
    sample.probe = probe;
    sample.time_ns = time_ns;
    sample.wait_ns = wait_ns;
    return sample;
}

static void time_is_known_only_where_probed(void **state)
{
    struct built built = built_create();
    struct aggregate aggregate;
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 32, 100, 10));
    aggregate = built_aggregate(built.builder, allocations);
    assert_int_equal(aggregate_timed(&aggregate), 0);
    aggregate_deinit(&aggregate);
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(built_sample(built.stack, 16, 100, 10), MALLOCTAP_PROBE_BLOCKED, 300, 200));
    aggregate = built_aggregate(built.builder, allocations);
    assert_int_equal(aggregate_timed(&aggregate), 1);
    assert_close(aggregate.all.time_ns.value, 3000);
    assert_close(aggregate.all.wait_ns.value, 2000);
    assert_close(estimate_stderr(aggregate.all.wait_ns), 200 * sqrt(90));
    assert_close(waiting_ns(&aggregate.waiting), 2000);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void frees_have_time_too(void **state)
{
    struct built built = built_create();
    struct malloctap_sample call =
        probed(built_sample(built.other_stack, 16, 0, 5), MALLOCTAP_PROBE_FAST, 40, 0);
    call.head.op = MALLOCTAP_OP_FREE;
    recording_builder_add_free(built.builder, built.first, call);
    struct aggregate aggregate =
        built_aggregate(built.builder, (struct aggregate_query){.ops = AGGREGATE_OPS_FREE});
    assert_close(built_sums(&aggregate, built.other_stack)->time_ns.value, 200);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* Their time is another thread's; as calls they count. */
static void preempted_calls_have_no_time(void **state)
{
    struct built built = built_create();
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(built_sample(built.stack, 16, 100, 10), MALLOCTAP_PROBE_PREEMPTED, 4000000, 0));
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(built_sample(built.stack, 32, 100, 10), MALLOCTAP_PROBE_FAST, 50, 0));
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.calls.value, 20);
    assert_close(aggregate.all.time_ns.value, 500);
    assert_int_equal(aggregate_classed(&aggregate), 2);
    const struct aggregate_class *preempted = &aggregate.classes[MALLOCTAP_PROBE_PREEMPTED];
    assert_int_equal(preempted->samples, 1);
    assert_close(preempted->calls.value, 10);
    assert_close(preempted->time_ns.value, 0);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void without_the_kernels_word_only_time_is_known(void **state)
{
    struct built built = built_create();
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(built_sample(built.stack, 16, 100, 10), MALLOCTAP_PROBE_UNCLASSED, 50, 0));
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_int_equal(aggregate_timed(&aggregate), 1);
    assert_int_equal(aggregate_classed(&aggregate), 0);
    assert_close(aggregate.all.time_ns.value, 500);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* ---- a part of the run ----------------------------------------------------------------------- */

static void a_window_selects_by_time(void **state)
{
    struct built built = built_create();
    static const uint64_t times[] = {10, 20, 30,
                                     40}; /* built_sample() takes the address for the time */
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        recording_builder_add_alloc(built.builder, built.first,
                                    built_sample(built.stack, times[i], 1, (double)(1 << i)));
    struct aggregate_query query = allocations;
    query.since_ns = 20;
    query.until_ns = 30;
    struct aggregate aggregate = built_aggregate(built.builder, query);
    assert_true(aggregate.partial);
    assert_close(aggregate.all.calls.value, 2 + 4);
    aggregate_deinit(&aggregate);
    query.until_ns = 0;
    aggregate = built_aggregate(built.builder, query);
    assert_close(aggregate.all.calls.value, 2 + 4 + 8);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* The slow thread's old records are still there: alone, they would stand for the time when the
 * others were faster. */
static void what_a_ring_has_partly_overwritten_is_left_out(void **state)
{
    struct built built = built_create();
    recording_builder_header(built.builder)->overwritten_until = RECORDING_BUILDER_START_TICKS + 25;
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 20, 1, 2));
    recording_builder_add_alloc(built.builder, built.second, built_sample(built.stack, 30, 1, 4));
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_true(aggregate.partial);
    assert_int_equal(aggregate.since_ns, 25);
    assert_close(aggregate.all.calls.value, 4);
    assert_close(aggregate.all.live_blocks.value, 4);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* ---- live blocks ----------------------------------------------------------------------------- */

static void blocks_live_until_freed(void **state)
{
    struct built built = built_create();
    struct malloctap_sample kept = built_sample(built.stack, 16, 100, 2);
    struct malloctap_sample gone = built_sample(built.stack, 32, 1000, 2);
    struct malloctap_sample again = gone; /* the same address, a later life */
    again.ticks += 5;
    again.size = 10;
    recording_builder_add_alloc(built.builder, built.first, kept);
    recording_builder_add_alloc(built.builder, built.first, gone);
    recording_builder_add_freed(built.builder, built.first, freed(gone));
    recording_builder_add_alloc(built.builder, built.first, again);
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 220);
    assert_close(aggregate.all.live_blocks.value, 4);
    assert_close(estimate_stderr(aggregate.all.live_bytes), sqrt(2 * (1e4 + 1e2)));
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* The cursor goes by chunks: the thread that frees may come first. */
static void the_end_may_be_read_before_the_beginning(void **state)
{
    struct built built = built_create();
    struct malloctap_sample block = built_sample(built.stack, 16, 100, 2);
    recording_builder_add_freed(built.builder, built.second, freed(block));
    recording_builder_seal(built.builder, built.second);
    recording_builder_add_alloc(built.builder, built.first, block);
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 0);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* Its allocation was overwritten in the ring: it must not count against other blocks. */
static void an_end_without_beginning_is_nothing(void **state)
{
    struct built built = built_create();
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 16, 100, 2));
    recording_builder_add_freed(built.builder, built.first,
                                freed(built_sample(built.stack, 32, 500, 2)));
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 200);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void blocks_may_be_freed_by_another_thread(void **state)
{
    struct built built = built_create();
    struct malloctap_sample block = built_sample(built.stack, 16, 100, 2);
    recording_builder_add_alloc(built.builder, built.first, block);
    recording_builder_add_alloc(built.builder, built.first, built_sample(built.stack, 32, 50, 2));
    recording_builder_add_freed(built.builder, built.second, freed(block));
    struct aggregate aggregate = built_aggregate(
        built.builder,
        (struct aggregate_query){.ops = AGGREGATE_OPS_ALLOC, .tid = 101, .live = true});
    assert_close(aggregate.all.live_bytes.value, 100);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void blocks_nobody_tracks_are_not_called_live(void **state)
{
    struct built built = built_create();
    struct malloctap_sample block = built_sample(built.stack, 16, 100, 2);
    block.flags = MALLOCTAP_SAMPLE_UNTRACKED;
    recording_builder_add_alloc(built.builder, built.first, block);
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 0);
    assert_int_equal(aggregate.untracked, 1);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* A table through which many lives pass: removal keeps every other entry reachable. */
static void many_lives(void **state)
{
    enum { LIVES = 20000, KEPT_EVERY = 7 };
    struct built built = built_create();
    for (uint64_t i = 0; i < LIVES; i++) {
        uint64_t address = i % KEPT_EVERY ? 16 * (i % 1000 + 1) : 16 * (LIVES + i);
        struct malloctap_sample block = built_sample(built.stack, address, 1, 1);
        block.ticks = RECORDING_BUILDER_START_TICKS + 2 * i;
        recording_builder_add_alloc(built.builder, built.first, block);
        if (i % KEPT_EVERY)
            recording_builder_add_freed(built.builder, built.second, freed(block));
    }
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(aggregate.all.live_blocks.value, (LIVES + KEPT_EVERY - 1) / KEPT_EVERY);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* ---- logs ------------------------------------------------------------------------------------ */

static void log_call(const struct built *built, struct recording_builder_call call)
{
    static uint64_t ticks = RECORDING_BUILDER_START_TICKS;
    call.ticks = ticks += 10;
    recording_builder_add_call(built->builder, built->first, &call);
}

/* Two blocks of 100 bytes, one of which becomes one of 300 and is freed. */
static struct built build_log(void)
{
    struct built built = built_create();
    log_call(&built,
             (struct recording_builder_call){
                 .op = MALLOCTAP_OP_MALLOC, .stack = built.stack, .address = 64, .size = 100});
    log_call(&built,
             (struct recording_builder_call){
                 .op = MALLOCTAP_OP_MALLOC, .stack = built.stack, .address = 256, .size = 100});
    log_call(&built, (struct recording_builder_call){.op = MALLOCTAP_OP_REALLOC,
                                                     .stack = built.other_stack,
                                                     .address = 512,
                                                     .size = 300,
                                                     .old = 64,
                                                     .duration = 5});
    log_call(&built, (struct recording_builder_call){
                         .op = MALLOCTAP_OP_FREE, .stack = built.other_stack, .address = 512});
    return built;
}

static void logged_calls_are_exact(void **state)
{
    struct built built = build_log();
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    const struct aggregate_sums *sums = built_sums(&aggregate, built.stack);
    assert_int_equal(aggregate.logged, 3);
    assert_close(sums->calls.value, 2);
    assert_close(sums->bytes.value, 200);
    assert_close(estimate_stderr(sums->bytes), 0);
    assert_close(sums->live_blocks.value, 1);
    sums = built_sums(&aggregate, built.other_stack);
    assert_close(sums->calls.value, 1);
    assert_close(sums->bytes.value, 300);
    assert_close(sums->live_bytes.value, 0);
    assert_int_equal(aggregate_timed(&aggregate), 0);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* It gives a block back, but it is one call, and not to free. */
static void a_logged_realloc_is_one_call(void **state)
{
    struct built built = build_log();
    static const struct {
        uint32_t ops;
        double calls;
    } cases[] = {{AGGREGATE_OPS_FREE, 1},
                 {1u << MALLOCTAP_OP_REALLOC, 1},
                 {AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aggregate aggregate =
            built_aggregate(built.builder, (struct aggregate_query){.ops = cases[i].ops});
        assert_close(aggregate.all.calls.value, cases[i].calls);
        aggregate_deinit(&aggregate);
    }
    recording_builder_destroy(built.builder);
}

/* The mode was switched while the program ran. */
static void samples_and_logged_calls_add_up(void **state)
{
    struct built built = build_log();
    recording_builder_seal(built.builder, built.first);
    recording_builder_add_alloc(built.builder, built.first,
                                built_sample(built.stack, 1 << 20, 100, 5));
    struct aggregate aggregate = built_aggregate(built.builder, allocations);
    assert_close(built_sums(&aggregate, built.stack)->calls.value, 2 + 5);
    assert_close(estimate_stderr(aggregate.all.calls), sqrt(5 * 4));
    assert_int_equal(aggregate.all.samples, 4);
    assert_int_equal(aggregate.logged, 3);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_make_sums_and_errors),
        cmocka_unit_test(failed_calls_count_but_got_no_bytes),
        cmocka_unit_test(queries_select_operations_and_threads),
        cmocka_unit_test(numbers_that_are_used_again),
        cmocka_unit_test(time_is_known_only_where_probed),
        cmocka_unit_test(frees_have_time_too),
        cmocka_unit_test(preempted_calls_have_no_time),
        cmocka_unit_test(without_the_kernels_word_only_time_is_known),
        cmocka_unit_test(a_window_selects_by_time),
        cmocka_unit_test(what_a_ring_has_partly_overwritten_is_left_out),
        cmocka_unit_test(blocks_live_until_freed),
        cmocka_unit_test(the_end_may_be_read_before_the_beginning),
        cmocka_unit_test(an_end_without_beginning_is_nothing),
        cmocka_unit_test(blocks_may_be_freed_by_another_thread),
        cmocka_unit_test(blocks_nobody_tracks_are_not_called_live),
        cmocka_unit_test(many_lives),
        cmocka_unit_test(logged_calls_are_exact),
        cmocka_unit_test(a_logged_realloc_is_one_call),
        cmocka_unit_test(samples_and_logged_calls_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
