/* SPDX-License-Identifier: MIT */
/* Many runs of a program with known shares, sampled the way the tap does: estimates against truth.
 */
#include "built.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct aggregate_query allocations = {.ops = AGGREGATE_OPS_ALLOC};

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
        recording_builder_add_alloc(builder, thread,
                                    built_sample(stacks[path], 16 * (call + 1), paths[path].size,
                                                 1 / -expm1(-cost / mean)));
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
        struct aggregate aggregate = built_aggregate(builder, allocations);
        for (int path = 0; path < PATHS; path++) {
            const struct aggregate_sums *sums = built_sums(&aggregate, stacks[path]);
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
        cmocka_unit_test(estimates_are_unbiased_and_their_errors_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
