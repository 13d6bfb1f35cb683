/* SPDX-License-Identifier: MIT */
/* Which slots count, and what the totals are made of. */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void count_calls(struct malloctap_counters *counters, uint64_t mallocs, uint64_t frees)
{
    counters->calls[MALLOCTAP_OP_MALLOC][7] += mallocs;
    counters->bytes[MALLOCTAP_OP_MALLOC] += mallocs * 100;
    counters->frees += frees;
}

static void test_calls(void **state)
{
    struct malloctap_counters counters = {0}, sum = {0};
    counters.calls[MALLOCTAP_OP_CALLOC][0] = 1;
    counters.calls[MALLOCTAP_OP_CALLOC][64] = 2;
    counters.failed[MALLOCTAP_OP_ALIGNED] = 5;
    counters.frees = 3;
    counters.uncounted = 4;
    malloctap_counters_add(&sum, &counters);
    malloctap_counters_add(&sum, &counters);
    assert_int_equal(malloctap_counters_calls(&sum, MALLOCTAP_OP_CALLOC), 6);
    assert_int_equal(malloctap_counters_calls(&sum, MALLOCTAP_OP_MALLOC), 0);
    assert_int_equal(malloctap_counters_calls(&sum, MALLOCTAP_OP_FREE), 6);
    assert_int_equal(sum.failed[MALLOCTAP_OP_ALIGNED], 10);
    assert_int_equal(sum.uncounted, 8);
}

static void test_threads(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_split(builder, MALLOCTAP_EXTENT_THREADS, 4096);
    count_calls(&recording_builder_add_thread(builder, 11, "first")->counters, 10, 1);
    recording_builder_add_thread(builder, 12, "unused")->state = MALLOCTAP_THREAD_UNUSED;
    recording_builder_add_thread(builder, 13, "claimed")->thread = 0;
    struct malloctap_thread_slot *gone = recording_builder_add_thread(builder, 14, "gone");
    count_calls(&gone->counters, 1000, 1000);
    struct malloctap_thread_slot *last = recording_builder_add_thread(builder, 15, "");
    memset(last->name, 'n', sizeof(last->name));
    last->state = MALLOCTAP_THREAD_EXITED;
    count_calls(&last->counters, 20, 2);

    struct malloctap_header *header = recording_builder_header(builder);
    header->exited.published = gone->thread << 1 | 1;
    header->exited.threads[1] = 7;
    count_calls(&header->exited.copy[0], 12345, 12345);
    count_calls(&header->exited.copy[1], 4000, 400);
    count_calls(&header->unslotted, 50000, 5000);

    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_thread_slot slot;
    uint64_t position = 0;
    assert_true(malloctap_recording_next_thread(recording, &position, &slot));
    assert_int_equal(slot.tid, 11);
    assert_string_equal(slot.name, "first");
    assert_true(malloctap_recording_next_thread(recording, &position, &slot));
    assert_int_equal(slot.tid, 15);
    assert_string_equal(slot.name, "nnnnnnnnnnnnnnn");
    assert_false(malloctap_recording_next_thread(recording, &position, &slot));

    struct malloctap_counters counters;
    assert_int_equal(malloctap_recording_exited(recording, &counters), 7);
    assert_int_equal(malloctap_counters_calls(&counters, MALLOCTAP_OP_MALLOC), 4000);
    malloctap_recording_totals(recording, &counters);
    assert_int_equal(malloctap_counters_calls(&counters, MALLOCTAP_OP_MALLOC), 54030);
    assert_int_equal(malloctap_counters_calls(&counters, MALLOCTAP_OP_FREE), 5403);
    assert_int_equal(counters.bytes[MALLOCTAP_OP_MALLOC], 5403000);
    malloctap_recording_close(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
