/* SPDX-License-Identifier: MIT */
/* Sums of synthetic recordings against known truth, and sampling against what was sampled. */
#include "aggregate.h"
#include "recording_builder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const struct aggregate_query allocations = {.ops = AGGREGATE_OPS_ALLOC, .live = true};

static struct malloctap_recording *open_built(struct recording_builder *builder)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_aggregate.%d.mtap", getpid());
    assert_int_equal(recording_builder_write(builder, path), 0);
    if (malloctap_recording_open(path, &recording, &error) < 0)
        fail_msg("%s", error.text);
    unlink(path);
    return recording;
}

/* Write what was built, sum it up, forget the rest. */
static struct aggregate aggregate_of(struct recording_builder *builder,
                                     struct aggregate_query query)
{
    struct malloctap_recording *recording = open_built(builder);
    struct malloctap_error error;
    struct aggregate aggregate;
    if (aggregate_read(recording, query, &aggregate, &error) < 0)
        fail_msg("%s", error.text);
    malloctap_recording_close(recording);
    return aggregate;
}

static const struct aggregate_sums *sums_of(const struct aggregate *aggregate, uint32_t stack)
{
    static const struct aggregate_sums none;
    for (size_t i = 0; i < aggregate->stack_count; i++)
        if (aggregate->stacks[i].stack == stack)
            return &aggregate->stacks[i].sums;
    return &none;
}

static struct malloctap_sample sample(uint32_t stack, uint64_t address, uint64_t size,
                                      double weight)
{
    return (struct malloctap_sample){
        .head = {.op = MALLOCTAP_OP_MALLOC, .stack = stack},
        .ticks = RECORDING_BUILDER_START_TICKS + address,
        .address = address,
        .size = size,
        .weight = weight,
    };
}

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

struct built {
    struct recording_builder *builder;
    uint64_t first; /* threads */
    uint64_t second;
    uint32_t stack;
    uint32_t other_stack;
};

static struct built build(void)
{
    struct built built = {.builder = recording_builder_create()};
    const uint64_t frames[] = {recording_builder_frame(0, 0x1000),
                               recording_builder_frame(0, 0x2000)};
    built.first = recording_builder_add_thread(built.builder, 101, "first")->thread;
    built.second = recording_builder_add_thread(built.builder, 102, "second")->thread;
    built.stack = recording_builder_add_stack(built.builder, frames, 2, 0);
    built.other_stack = recording_builder_add_stack(built.builder, frames, 1, 0);
    return built;
}

static void assert_close(double value, double expected)
{
    assert_float_equal(value, expected, 1e-9 * fmax(1, fabs(expected)));
}

/* ---- sums -------------------------------------------------------------------------------------
 */

static void weights_make_sums_and_errors(void **state)
{
    struct built built = build();
    recording_builder_add_alloc(built.builder, built.first, sample(built.stack, 16, 100, 4));
    recording_builder_add_alloc(built.builder, built.second, sample(built.stack, 32, 1000, 1.5));
    recording_builder_add_alloc(built.builder, built.first, sample(built.other_stack, 48, 7, 1));
    struct aggregate aggregate = aggregate_of(built.builder, allocations);

    const struct aggregate_sums *sums = sums_of(&aggregate, built.stack);
    assert_int_equal(sums->samples, 2);
    assert_close(sums->calls.value, 5.5);
    assert_close(estimate_stderr(sums->calls), sqrt(4 * 3 + 1.5 * 0.5));
    assert_close(sums->bytes.value, 400 + 1500);
    assert_close(estimate_stderr(sums->bytes), sqrt(4 * 3 * 1e4 + 1.5 * 0.5 * 1e6));

    sums = sums_of(&aggregate, built.other_stack);
    assert_close(estimate_stderr(sums->calls), 0); /* certain to be sampled: nothing estimated */
    assert_close(aggregate.all.calls.value, 6.5);
    assert_int_equal(aggregate.all.samples, 3);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void failed_calls_count_but_got_no_bytes(void **state)
{
    struct built built = build();
    struct malloctap_sample failed = sample(built.stack, 0, 1 << 20, 2);
    failed.flags = MALLOCTAP_SAMPLE_FAILED;
    recording_builder_add_alloc(built.builder, built.first, failed);
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.calls.value, 2);
    assert_close(aggregate.all.bytes.value, 0);
    assert_close(aggregate.all.live_bytes.value, 0);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void queries_select_operations_and_threads(void **state)
{
    struct built built = build();
    struct malloctap_sample free_call = sample(built.other_stack, 16, 0, 3);
    free_call.head.op = MALLOCTAP_OP_FREE;
    recording_builder_add_alloc(built.builder, built.first, sample(built.stack, 16, 100, 2));
    recording_builder_add_alloc(built.builder, built.second, sample(built.stack, 32, 100, 5));
    recording_builder_add_free(built.builder, built.first, free_call);

    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.calls.value, 7);
    aggregate_deinit(&aggregate);
    aggregate = aggregate_of(built.builder, (struct aggregate_query){.ops = AGGREGATE_OPS_FREE});
    assert_close(aggregate.all.calls.value, 3);
    aggregate_deinit(&aggregate);
    aggregate = aggregate_of(
        built.builder,
        (struct aggregate_query){.ops = AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE, .tid = 101});
    assert_close(aggregate.all.calls.value, 5);
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
    struct built built = build();
    struct aggregate aggregate;
    recording_builder_add_alloc(built.builder, built.first, sample(built.stack, 32, 100, 10));
    aggregate = aggregate_of(built.builder, allocations);
    assert_int_equal(aggregate_timed(&aggregate), 0);
    aggregate_deinit(&aggregate);
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(sample(built.stack, 16, 100, 10), MALLOCTAP_PROBE_BLOCKED, 300, 200));
    aggregate = aggregate_of(built.builder, allocations);
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
    struct built built = build();
    struct malloctap_sample call =
        probed(sample(built.other_stack, 16, 0, 5), MALLOCTAP_PROBE_FAST, 40, 0);
    call.head.op = MALLOCTAP_OP_FREE;
    recording_builder_add_free(built.builder, built.first, call);
    struct aggregate aggregate =
        aggregate_of(built.builder, (struct aggregate_query){.ops = AGGREGATE_OPS_FREE});
    assert_close(sums_of(&aggregate, built.other_stack)->time_ns.value, 200);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* Their time is another thread's; as calls they count. */
static void preempted_calls_have_no_time(void **state)
{
    struct built built = build();
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(sample(built.stack, 16, 100, 10), MALLOCTAP_PROBE_PREEMPTED, 4000000, 0));
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(sample(built.stack, 32, 100, 10), MALLOCTAP_PROBE_FAST, 50, 0));
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
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
    struct built built = build();
    recording_builder_add_alloc(
        built.builder, built.first,
        probed(sample(built.stack, 16, 100, 10), MALLOCTAP_PROBE_UNCLASSED, 50, 0));
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_int_equal(aggregate_timed(&aggregate), 1);
    assert_int_equal(aggregate_classed(&aggregate), 0);
    assert_close(aggregate.all.time_ns.value, 500);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* ---- a part of the run ------------------------------------------------------------------------
 */

static void a_window_selects_by_time(void **state)
{
    struct built built = build();
    static const uint64_t times[] = {10, 20, 30, 40}; /* sample() takes the address for the time */
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        recording_builder_add_alloc(built.builder, built.first,
                                    sample(built.stack, times[i], 1, (double)(1 << i)));
    struct aggregate_query query = allocations;
    query.since_ns = 20;
    query.until_ns = 30;
    struct aggregate aggregate = aggregate_of(built.builder, query);
    assert_true(aggregate.partial);
    assert_close(aggregate.all.calls.value, 2 + 4);
    aggregate_deinit(&aggregate);
    query.until_ns = 0;
    aggregate = aggregate_of(built.builder, query);
    assert_close(aggregate.all.calls.value, 2 + 4 + 8);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* The slow thread's old records are still there: alone, they would stand for the time when the
 * others were faster. */
static void what_a_ring_has_partly_overwritten_is_left_out(void **state)
{
    struct built built = build();
    recording_builder_header(built.builder)->overwritten_until = RECORDING_BUILDER_START_TICKS + 25;
    recording_builder_add_alloc(built.builder, built.first, sample(built.stack, 20, 1, 2));
    recording_builder_add_alloc(built.builder, built.second, sample(built.stack, 30, 1, 4));
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_true(aggregate.partial);
    assert_int_equal(aggregate.since_ns, 25);
    assert_close(aggregate.all.calls.value, 4);
    assert_close(aggregate.all.live_blocks.value, 4);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* ---- live blocks ------------------------------------------------------------------------------
 */

static void blocks_live_until_freed(void **state)
{
    struct built built = build();
    struct malloctap_sample kept = sample(built.stack, 16, 100, 2);
    struct malloctap_sample gone = sample(built.stack, 32, 1000, 2);
    struct malloctap_sample again = gone; /* the same address, a later life */
    again.ticks += 5;
    again.size = 10;
    recording_builder_add_alloc(built.builder, built.first, kept);
    recording_builder_add_alloc(built.builder, built.first, gone);
    recording_builder_add_freed(built.builder, built.first, freed(gone));
    recording_builder_add_alloc(built.builder, built.first, again);
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 220);
    assert_close(aggregate.all.live_blocks.value, 4);
    assert_close(estimate_stderr(aggregate.all.live_bytes), sqrt(2 * (1e4 + 1e2)));
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* The cursor goes by chunks: the thread that frees may come first. */
static void the_end_may_be_read_before_the_beginning(void **state)
{
    struct built built = build();
    struct malloctap_sample block = sample(built.stack, 16, 100, 2);
    recording_builder_add_freed(built.builder, built.second, freed(block));
    recording_builder_seal(built.builder, built.second);
    recording_builder_add_alloc(built.builder, built.first, block);
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 0);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* Its allocation was overwritten in the ring: it must not count against other blocks. */
static void an_end_without_beginning_is_nothing(void **state)
{
    struct built built = build();
    recording_builder_add_alloc(built.builder, built.first, sample(built.stack, 16, 100, 2));
    recording_builder_add_freed(built.builder, built.first, freed(sample(built.stack, 32, 500, 2)));
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 200);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void blocks_may_be_freed_by_another_thread(void **state)
{
    struct built built = build();
    struct malloctap_sample block = sample(built.stack, 16, 100, 2);
    recording_builder_add_alloc(built.builder, built.first, block);
    recording_builder_add_alloc(built.builder, built.first, sample(built.stack, 32, 50, 2));
    recording_builder_add_freed(built.builder, built.second, freed(block));
    struct aggregate aggregate = aggregate_of(
        built.builder,
        (struct aggregate_query){.ops = AGGREGATE_OPS_ALLOC, .tid = 101, .live = true});
    assert_close(aggregate.all.live_bytes.value, 100);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

static void blocks_nobody_tracks_are_not_called_live(void **state)
{
    struct built built = build();
    struct malloctap_sample block = sample(built.stack, 16, 100, 2);
    block.flags = MALLOCTAP_SAMPLE_UNTRACKED;
    recording_builder_add_alloc(built.builder, built.first, block);
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.live_bytes.value, 0);
    assert_int_equal(aggregate.untracked, 1);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* A table through which many lives pass: removal keeps every other entry reachable. */
static void many_lives(void **state)
{
    enum { LIVES = 20000, KEPT_EVERY = 7 };
    struct built built = build();
    for (uint64_t i = 0; i < LIVES; i++) {
        uint64_t address = i % KEPT_EVERY ? 16 * (i % 1000 + 1) : 16 * (LIVES + i);
        struct malloctap_sample block = sample(built.stack, address, 1, 1);
        block.ticks = RECORDING_BUILDER_START_TICKS + 2 * i;
        recording_builder_add_alloc(built.builder, built.first, block);
        if (i % KEPT_EVERY)
            recording_builder_add_freed(built.builder, built.second, freed(block));
    }
    struct aggregate aggregate = aggregate_of(built.builder, allocations);
    assert_close(aggregate.all.live_blocks.value, (LIVES + KEPT_EVERY - 1) / KEPT_EVERY);
    aggregate_deinit(&aggregate);
    recording_builder_destroy(built.builder);
}

/* ---- sampling ---------------------------------------------------------------------------------
 */

static uint64_t random_state = 20;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(random_state >> 11) + 0.5) / 9007199254740992.0;
}

/* A program with known shares: 70, 20 and 10 % of the calls, another order by bytes. */
enum { PATHS = 3, CALLS = 20000, RUNS = 100 };
static const struct {
    double share;
    uint64_t size;
} paths[PATHS] = {{0.7, 24}, {0.2, 200}, {0.1, 4096}};

/* Sample one run of it the way the tap does: a countdown in units, redrawn at each sample. */
static struct recording_builder *sampled_run(uint32_t stacks[PATHS])
{
    const double mean = 2000, call_units = 64;
    struct recording_builder *builder = recording_builder_create();
    uint64_t thread = recording_builder_add_thread(builder, 101, "main")->thread;
    for (int path = 0; path < PATHS; path++) {
        uint64_t frame = recording_builder_frame(0, 0x1000u * (unsigned)(path + 1));
        stacks[path] = recording_builder_add_stack(builder, &frame, 1, 0);
    }
    double left = -mean * log(uniform());
    for (uint64_t call = 0; call < CALLS; call++) {
        int path = call % 10 < 7 ? 0 : call % 10 < 9 ? 1 : 2;
        double cost = call_units + (double)paths[path].size;
        if ((left -= cost) > 0)
            continue;
        recording_builder_add_alloc(
            builder, thread,
            sample(stacks[path], 16 * (call + 1), paths[path].size, 1 / -expm1(-cost / mean)));
        left = -mean * log(uniform());
    }
    return builder;
}

struct record_of_runs {
    double ratios; /* estimate / truth, summed over the runs */
    int within;    /* runs in which the truth is within two standard errors */
};

static void record(struct record_of_runs *to, struct estimate estimate, double truth)
{
    to->ratios += estimate.value / truth;
    to->within += fabs(estimate.value - truth) <= 2 * estimate_stderr(estimate);
}

static void estimates_are_unbiased_and_their_errors_honest(void **state)
{
    struct record_of_runs calls[PATHS] = {0}, bytes[PATHS] = {0};
    for (int run = 0; run < RUNS; run++) {
        uint32_t stacks[PATHS];
        struct recording_builder *builder = sampled_run(stacks);
        struct aggregate aggregate = aggregate_of(builder, allocations);
        for (int path = 0; path < PATHS; path++) {
            const struct aggregate_sums *sums = sums_of(&aggregate, stacks[path]);
            double truth = paths[path].share * CALLS;
            record(&calls[path], sums->calls, truth);
            record(&bytes[path], sums->bytes, truth * (double)paths[path].size);
        }
        aggregate_deinit(&aggregate);
        recording_builder_destroy(builder);
    }
    for (int path = 0; path < PATHS; path++) {
        assert_float_equal(calls[path].ratios / RUNS, 1, 0.01);
        assert_float_equal(bytes[path].ratios / RUNS, 1, 0.01);
        assert_true(calls[path].within >= 90);
        assert_true(bytes[path].within >= 90);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_make_sums_and_errors),
        cmocka_unit_test(failed_calls_count_but_got_no_bytes),
        cmocka_unit_test(queries_select_operations_and_threads),
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
        cmocka_unit_test(estimates_are_unbiased_and_their_errors_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
