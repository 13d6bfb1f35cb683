/* SPDX-License-Identifier: MIT */
/* What memory is used for, at moments that are known. One tick is one nanosecond. */
#include "footprint.h"
#include "recording_builder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

struct fixture {
    struct recording_builder *builder;
    uint64_t thread;
};

/* At its peak of 100 MiB the process has 100 and 30 bytes live, at the end, with 60 MiB, 30 and 50;
 * all with weight 2. */
static int begin(void **state)
{
    static struct fixture fixture;
    fixture.builder = recording_builder_create();
    fixture.thread = recording_builder_add_thread(fixture.builder, 101, "main")->thread;
    struct malloctap_header *header = recording_builder_header(fixture.builder);
    header->peak_rss_bytes = 100 * MIB;
    header->rss_bytes = 60 * MIB;
    *state = &fixture;
    return 0;
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    recording_builder_destroy(fixture->builder);
    return 0;
}

static struct malloctap_sample block(uint64_t ns, uint64_t size, uint64_t usable, uint64_t peak_mib)
{
    return (struct malloctap_sample){
        .head.op = MALLOCTAP_OP_MALLOC,
        .ticks = RECORDING_BUILDER_START_TICKS + ns,
        .address = ns * 16,
        .size = size,
        .weight = 2,
        .usable = usable,
        .peak_rss_kib = (uint32_t)(peak_mib << 10),
    };
}

static void add_blocks(struct fixture *fixture)
{
    struct malloctap_sample first = block(10, 100, 104, 40);
    recording_builder_add_alloc(fixture->builder, fixture->thread, first);
    recording_builder_add_alloc(fixture->builder, fixture->thread, block(20, 30, 40, 99));
    recording_builder_add_alloc(fixture->builder, fixture->thread, block(30, 50, 56, 100));
    recording_builder_add_freed(fixture->builder, fixture->thread,
                                (struct malloctap_freed){
                                    .head.op = MALLOCTAP_OP_FREE,
                                    .ticks = RECORDING_BUILDER_START_TICKS + 40,
                                    .address = first.address,
                                    .size = first.size,
                                    .weight = first.weight,
                                    .allocated_ticks = first.ticks,
                                });
}

static struct footprints footprints_of(struct fixture *fixture)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    struct footprints footprints;
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_footprint.%d.mtap", getpid());
    assert_int_equal(recording_builder_write(fixture->builder, path), 0);
    if (malloctap_recording_open(path, &recording, &error) < 0)
        fail_msg("%s", error.text);
    unlink(path);
    footprints_read(recording, &footprints);
    malloctap_recording_close(recording);
    return footprints;
}

static void assert_unknown(struct fixture *fixture)
{
    struct footprints footprints = footprints_of(fixture);
    assert_int_equal(footprints.peak.rss_bytes, 0);
    assert_int_equal(footprints.end.rss_bytes, 0);
}

static void blocks_are_summed_at_the_peak_and_at_the_end(void **state)
{
    add_blocks(*state);
    struct footprints footprints = footprints_of(*state);
    const struct footprint *peak = &footprints.peak, *last = &footprints.end;
    assert_int_equal(peak->at_ns, 20); /* 99 MiB are within 1 % of 100 */
    assert_int_equal(peak->rss_bytes, 100 * MIB);
    assert_float_equal(peak->requested.value, 2 * (100 + 30), 1e-9);
    assert_float_equal(peak->rounding.value, 2 * (4 + 10), 1e-9);
    assert_float_equal(estimate_stderr(peak->requested), sqrt(2 * (100 * 100 + 30 * 30)), 1e-9);
    assert_true(peak->rounding_known);
    assert_int_equal(last->rss_bytes, 60 * MIB);
    assert_float_equal(last->requested.value, 2 * (30 + 50), 1e-9);
    assert_float_equal(last->rounding.value, 2 * (10 + 6), 1e-9);
}

static void without_usable_sizes_rounding_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    recording_builder_add_alloc(fixture->builder, fixture->thread, block(10, 100, 0, 100));
    struct footprints footprints = footprints_of(fixture);
    assert_false(footprints.peak.rounding_known);
    assert_float_equal(footprints.peak.requested.value, 200, 1e-9);
}

/* The program was started by a larger one: its peak is older than the process. */
static void an_inherited_peak_says_nothing(void **state)
{
    struct fixture *fixture = *state;
    add_blocks(fixture);
    recording_builder_add_alloc(fixture->builder, fixture->thread, block(50, 10, 24, 300));
    struct footprints footprints = footprints_of(fixture);
    assert_int_equal(footprints.peak.rss_bytes, 0);
    assert_int_equal(footprints.end.rss_bytes, 60 * MIB);
}

static void missing_records_make_it_unknown(void **state)
{
    struct fixture *fixture = *state;
    add_blocks(fixture);
    recording_builder_header(fixture->builder)->overwritten_until =
        RECORDING_BUILDER_START_TICKS + 5;
    assert_unknown(fixture);
    recording_builder_header(fixture->builder)->overwritten_until = 0;
    recording_builder_header(fixture->builder)->control.generation = 2;
    recording_builder_header(fixture->builder)->control.modes =
        1u << MALLOCTAP_MODE_COUNT | 1u << MALLOCTAP_MODE_SAMPLE;
    assert_unknown(fixture);
}

/* A block whose end would have gone unseen is not live for certain, and not dead. */
static void untracked_blocks_make_it_unknown(void **state)
{
    struct fixture *fixture = *state;
    struct malloctap_sample untracked = block(35, 100, 104, 100);
    add_blocks(fixture);
    untracked.flags = MALLOCTAP_SAMPLE_UNTRACKED;
    recording_builder_add_alloc(fixture->builder, fixture->thread, untracked);
    assert_unknown(fixture);
}

static void nothing_sampled_is_unknown(void **state)
{
    assert_unknown(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_are_summed_at_the_peak_and_at_the_end, begin, end),
        cmocka_unit_test_setup_teardown(without_usable_sizes_rounding_is_unknown, begin, end),
        cmocka_unit_test_setup_teardown(an_inherited_peak_says_nothing, begin, end),
        cmocka_unit_test_setup_teardown(missing_records_make_it_unknown, begin, end),
        cmocka_unit_test_setup_teardown(untracked_blocks_make_it_unknown, begin, end),
        cmocka_unit_test_setup_teardown(nothing_sampled_is_unknown, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
