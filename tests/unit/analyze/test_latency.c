/* SPDX-License-Identifier: MIT */
/* Quantiles of histograms whose truth can be worked out by hand. */
#include "latency.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct malloctap_latency row; /* large, and zeroed before each test */

static int clear(void **state)
{
    row = (struct malloctap_latency){0};
    return 0;
}

static void add(enum malloctap_op op, unsigned bucket, double weight, uint64_t samples)
{
    row.ops[op].buckets[bucket] += weight;
    row.ops[op].weight[MALLOCTAP_PROBE_FAST] += weight;
    row.ops[op].samples += samples;
}

static double p50(enum malloctap_op op)
{
    return latency_read(&row, op).quantile_ns[LATENCY_p50];
}

static void assert_near(double value, double expected)
{
    assert_float_equal(value, expected, 1e-6 * fmax(1, fabs(expected)));
}

/* Calls are taken to be spread evenly within a bucket: half of them are below its middle. */
static void the_middle_of_one_bucket(void **state)
{
    static const struct {
        unsigned bucket;
        double lower, upper;
    } cases[] = {
        {5, 5, 6},
        {15, 15, 16},
        {16, 16, 18},
        {23, 30, 32},
        {24, 32, 36},
        {31, 60, 64},
        {32, 64, 72},
        {100, 12 << 11, 13 << 11},
        {104, 8 << 12, 9 << 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clear(NULL);
        add(MALLOCTAP_OP_MALLOC, cases[i].bucket, 1000, 100);
        row.ops[MALLOCTAP_OP_MALLOC].max_ns = (uint64_t)1 << 40;
        assert_near(p50(MALLOCTAP_OP_MALLOC), (cases[i].lower + cases[i].upper) / 2);
    }
}

/* 100 calls of 8 ns, sampled as ten of weight 10; 300 of 32 to 36 ns as three of weight 100. */
static void weights_count_not_samples(void **state)
{
    add(MALLOCTAP_OP_FREE, 8, 100, 10);
    add(MALLOCTAP_OP_FREE, 24, 300, 3);
    row.ops[MALLOCTAP_OP_FREE].max_ns = 36;
    struct latency_op calls = latency_read(&row, MALLOCTAP_OP_FREE);
    assert_near(calls.quantile_ns[LATENCY_p50], 32 + 4 * (200 - 100) / 300.0);
    assert_near(calls.quantile_ns[LATENCY_p90], 32 + 4 * (360 - 100) / 300.0);
    assert_near(calls.calls[MALLOCTAP_PROBE_FAST], 400);
    assert_int_equal(calls.samples, 13);
}

static void nothing_is_longer_than_the_longest(void **state)
{
    add(MALLOCTAP_OP_MALLOC, MALLOCTAP_LATENCY_BUCKETS - 1, 1, 2);
    row.ops[MALLOCTAP_OP_MALLOC].max_ns = (uint64_t)20 << 38;
    assert_near(p50(MALLOCTAP_OP_MALLOC),
                (double)((uint64_t)15 << 38) / 2 + (double)((uint64_t)20 << 38) / 2);
    clear(NULL);
    add(MALLOCTAP_OP_MALLOC, 24, 1, 2);
    row.ops[MALLOCTAP_OP_MALLOC].max_ns = 33;
    assert_near(p50(MALLOCTAP_OP_MALLOC), 33);
}

static enum latency_trust trust(uint64_t samples, enum latency_quantile quantile)
{
    clear(NULL);
    add(MALLOCTAP_OP_MALLOC, 8, (double)samples, samples);
    row.ops[MALLOCTAP_OP_MALLOC].max_ns = 8;
    struct latency_op calls = latency_read(&row, MALLOCTAP_OP_MALLOC);
    assert_true(isnan(calls.quantile_ns[quantile]) == (calls.trust[quantile] == LATENCY_UNKNOWN));
    return calls.trust[quantile];
}

static void a_quantile_needs_samples_beyond_it(void **state)
{
    assert_int_equal(trust(0, LATENCY_p50), LATENCY_UNKNOWN);
    assert_int_equal(trust(1, LATENCY_p50), LATENCY_UNKNOWN);
    assert_int_equal(trust(2, LATENCY_p50), LATENCY_ROUGH);
    assert_int_equal(trust(19, LATENCY_p50), LATENCY_ROUGH);
    assert_int_equal(trust(20, LATENCY_p50), LATENCY_KNOWN);
    assert_int_equal(trust(99, LATENCY_p90), LATENCY_ROUGH);
    assert_int_equal(trust(100, LATENCY_p90), LATENCY_KNOWN);
    assert_int_equal(trust(999, LATENCY_p99), LATENCY_ROUGH);
    assert_int_equal(trust(1000, LATENCY_p99), LATENCY_KNOWN);
    assert_int_equal(trust(999, LATENCY_p999), LATENCY_UNKNOWN);
    assert_int_equal(trust(1000, LATENCY_p999), LATENCY_ROUGH);
    assert_int_equal(trust(10000, LATENCY_p999), LATENCY_KNOWN);
}

static void rows_add_up(void **state)
{
    static struct malloctap_latency sum, other;
    add(MALLOCTAP_OP_MALLOC, 8, 100, 10);
    row.ops[MALLOCTAP_OP_MALLOC].max_ns = 8;
    row.ops[MALLOCTAP_OP_MALLOC].time_ns = 800;
    row.ops[MALLOCTAP_OP_MALLOC].time_variance = 9;
    other.ops[MALLOCTAP_OP_MALLOC].buckets[24] = 300;
    other.ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_BLOCKED] = 300;
    other.ops[MALLOCTAP_OP_MALLOC].samples = 30;
    other.ops[MALLOCTAP_OP_MALLOC].max_ns = 35;
    other.ops[MALLOCTAP_OP_MALLOC].time_ns = 10000;
    other.ops[MALLOCTAP_OP_MALLOC].time_variance = 16;
    other.ops[MALLOCTAP_OP_MALLOC].wait_ns = 9000;
    other.ops[MALLOCTAP_OP_MALLOC].wait_variance = 4;
    latency_merge(&sum, &row);
    latency_merge(&sum, &other);
    struct latency_op calls = latency_read(&sum, MALLOCTAP_OP_MALLOC);
    assert_near(calls.quantile_ns[LATENCY_p50], 32 + 4 * (200 - 100) / 300.0);
    assert_int_equal(calls.samples, 40);
    assert_int_equal(calls.max_ns, 35);
    assert_near(calls.time_ns.value, 10800);
    assert_near(estimate_stderr(calls.time_ns), 5);
    assert_near(calls.wait_ns.value, 9000);
    assert_near(estimate_stderr(calls.wait_ns), 2);
    assert_near(calls.calls[MALLOCTAP_PROBE_BLOCKED], 300);
}

static void waiting_is_known_of_classed_calls_only(void **state)
{
    row.ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_UNCLASSED] = 5;
    struct latency_op calls = latency_read(&row, MALLOCTAP_OP_MALLOC);
    assert_false(latency_classed(&calls));
    row.ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_FAST] = 5;
    calls = latency_read(&row, MALLOCTAP_OP_MALLOC);
    assert_true(latency_classed(&calls));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_middle_of_one_bucket, clear),
        cmocka_unit_test_setup(weights_count_not_samples, clear),
        cmocka_unit_test_setup(nothing_is_longer_than_the_longest, clear),
        cmocka_unit_test_setup(a_quantile_needs_samples_beyond_it, clear),
        cmocka_unit_test_setup(rows_add_up, clear),
        cmocka_unit_test_setup(waiting_is_known_of_classed_calls_only, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
