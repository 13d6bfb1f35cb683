/* SPDX-License-Identifier: MIT */
/* What is added up from the recordings of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <costs.h>
#include <recording_builder.h>

#include <math.h>
#include <string.h>

enum { PROBED = 1, UNPROBED = 0 };

/* A recording of one thread: 100 calls of 64 bytes, one of them sampled. */
static void recording_write(const char *name, uint32_t probe, uint64_t overwritten)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_thread_slot *thread = recording_builder_add_thread(builder, 1, "main");
    recording_builder_header(builder)->lost.records_overwritten = overwritten;
    thread->counters.calls[MALLOCTAP_OP_MALLOC][7] = 100;
    thread->counters.bytes[MALLOCTAP_OP_MALLOC] = 6400;
    recording_builder_add_alloc(builder, 1,
                                (struct malloctap_sample){.ticks = 2000,
                                                          .address = 4096,
                                                          .size = 64,
                                                          .weight = 50,
                                                          .probe = probe,
                                                          .time_ns = 300,
                                                          .wait_ns = 200});
    assert_int_equal(recording_builder_write(builder, folder_path(name)), 0);
    recording_builder_destroy(builder);
}

static struct measures taken(const char *name)
{
    struct output_recordings recordings;
    struct measures measures;
    output_find(folder_path(name), 0, &recordings);
    costs_take(&recordings, &measures);
    output_recordings_deinit(&recordings);
    return measures;
}

static void children_are_added(void **state)
{
    recording_write("a.mtap", PROBED, 0);
    recording_write("a.17.mtap", PROBED, 0);
    struct measures measures = taken("a.mtap");
    assert_true(measures.value[MEASURE_calls] == 200);
    assert_true(measures.value[MEASURE_bytes_requested] == 12800);
    assert_true(measures.value[MEASURE_alloc_ns] == 2 * 50 * 300);
    assert_true(measures.value[MEASURE_wait_ns] == 2 * 50 * 200);
}

static void times_are_unknown_without_probes(void **state)
{
    recording_write("b.mtap", UNPROBED, 0);
    struct measures measures = taken("b.mtap");
    assert_true(measures.value[MEASURE_calls] == 100);
    assert_true(isnan(measures.value[MEASURE_alloc_ns]));
    assert_true(isnan(measures.value[MEASURE_wait_ns]));
}

static void times_are_unknown_where_samples_are_missing(void **state)
{
    recording_write("c.mtap", PROBED, 1);
    assert_true(isnan(taken("c.mtap").value[MEASURE_alloc_ns]));
    assert_true(taken("c.mtap").value[MEASURE_calls] == 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_are_added),
        cmocka_unit_test(times_are_unknown_without_probes),
        cmocka_unit_test(times_are_unknown_where_samples_are_missing),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
