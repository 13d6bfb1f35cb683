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

enum { CPU_NS = 100000, PEAK = 1 << 20, SAMPLED_PEAK_KIB = 700 };

/* A process of one thread that lived a second: 100 calls of 64 bytes, which took 15 us, 10 of them
 * waiting. */
struct process {
    uint32_t pid;
    uint64_t start_s;
    enum malloctap_probe probe; /* NONE: no histograms */
    uint64_t samples_lost;
    bool killed; /* without a word about its memory */
};

static struct malloctap_latency *latency_fill(struct recording_builder *builder, uint64_t thread,
                                              enum malloctap_probe probe)
{
    struct malloctap_latency *row = recording_builder_add_latency(builder);
    row->thread = thread;
    row->ops[MALLOCTAP_OP_MALLOC].samples = 30;
    row->ops[MALLOCTAP_OP_MALLOC].weight[probe] = 100;
    row->ops[MALLOCTAP_OP_MALLOC].time_ns = 15000;
    row->ops[MALLOCTAP_OP_MALLOC].wait_ns = 10000;
    return row;
}

static void recording_write(const char *name, struct process process)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_thread_slot *thread = recording_builder_add_thread(builder, 1, "main");
    struct malloctap_header *header = recording_builder_header(builder);
    header->pid = process.pid;
    header->start_realtime_ns = process.start_s * 1000000000;
    header->end_ticks = header->start_ticks + 1000000000;
    header->peak_rss_bytes = process.killed ? 0 : PEAK;
    thread->birth_ticks = header->start_ticks;
    thread->death_ticks = header->end_ticks;
    thread->counters.calls[MALLOCTAP_OP_MALLOC][7] = 100;
    thread->counters.bytes[MALLOCTAP_OP_MALLOC] = 6400;
    thread->counters.samples = 200;
    thread->counters.samples_lost = process.samples_lost;
    if (process.probe != MALLOCTAP_PROBE_NONE)
        latency_fill(builder, 1, process.probe);
    recording_builder_add_alloc(builder, 1,
                                (struct malloctap_sample){.ticks = 2000,
                                                          .address = 4096,
                                                          .size = 64,
                                                          .weight = 50,
                                                          .peak_rss_kib = SAMPLED_PEAK_KIB});
    assert_int_equal(recording_builder_write(builder, folder_path(name)), 0);
    recording_builder_destroy(builder);
}

static double kernel_peak = NAN; /* what the kernel says */
static bool much_lost;           /* of what was taken last */

static double taken(const char *name, enum measure measure)
{
    struct output_recordings recordings;
    struct measures measures;
    measures_clear(&measures);
    measures.value[MEASURE_cpu_ns] = CPU_NS;
    measures.value[MEASURE_peak_rss_bytes] = kernel_peak;
    output_find(folder_path(name), 0, &recordings);
    much_lost = costs_take(&recordings, &measures);
    output_recordings_deinit(&recordings);
    return measures.value[measure];
}

static void children_are_added(void **state)
{
    recording_write("a.mtap", (struct process){.pid = 1, .probe = MALLOCTAP_PROBE_BLOCKED});
    recording_write("a.17.mtap", (struct process){.pid = 17, .probe = MALLOCTAP_PROBE_FAST});
    assert_true(taken("a.mtap", MEASURE_calls) == 200);
    assert_true(taken("a.mtap", MEASURE_bytes_requested) == 12800);
    assert_true(taken("a.mtap", MEASURE_processes) == 2);
    assert_true(taken("a.mtap", MEASURE_alloc_ns) == 30000);
    assert_true(taken("a.mtap", MEASURE_wait_ns) == 20000);
    assert_true(taken("a.mtap", MEASURE_alloc_thread_max_ns) == 15000);
    assert_float_equal(taken("a.mtap", MEASURE_alloc_share), 30e3 / 120e3, 1e-9);
    assert_float_equal(taken("a.mtap", MEASURE_wait_share), 20e3 / 120e3, 1e-9);
}

static void times_are_unknown_without_probes(void **state)
{
    recording_write("b.mtap", (struct process){.pid = 1});
    assert_true(taken("b.mtap", MEASURE_calls) == 100);
    assert_true(isnan(taken("b.mtap", MEASURE_alloc_ns)));
    assert_true(isnan(taken("b.mtap", MEASURE_alloc_share)));
    assert_true(isnan(taken("b.mtap", MEASURE_wait_ns)));
}

static void a_few_samples_are_none(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    latency_fill(builder, 1, MALLOCTAP_PROBE_FAST)->ops[MALLOCTAP_OP_MALLOC].samples = 29;
    assert_int_equal(recording_builder_write(builder, folder_path("few.mtap")), 0);
    recording_builder_destroy(builder);
    assert_true(isnan(taken("few.mtap", MEASURE_alloc_ns)));
}

static void waiting_is_unknown_where_the_kernel_is_not_asked(void **state)
{
    recording_write("c.mtap", (struct process){.pid = 1, .probe = MALLOCTAP_PROBE_UNCLASSED});
    assert_true(taken("c.mtap", MEASURE_alloc_ns) == 15000);
    assert_true(isnan(taken("c.mtap", MEASURE_wait_ns)));
    assert_true(isnan(taken("c.mtap", MEASURE_wait_share)));
    assert_float_equal(taken("c.mtap", MEASURE_alloc_share), 15e3 / 100e3, 1e-9);
}

static void times_are_unknown_where_many_samples_are_missing(void **state)
{
    struct process process = {.pid = 1, .probe = MALLOCTAP_PROBE_FAST, .samples_lost = 2};
    recording_write("d.mtap", process);
    assert_true(taken("d.mtap", MEASURE_alloc_ns) == 15000);
    assert_false(much_lost);
    process.samples_lost = 3;
    recording_write("d.mtap", process);
    assert_true(isnan(taken("d.mtap", MEASURE_alloc_ns)));
    assert_true(much_lost);
    assert_true(taken("d.mtap", MEASURE_calls) == 100);
}

/* A thread that lived for 3 microseconds, so many nanoseconds of them on its processor. */
static void short_life_write(const char *name, uint64_t cpu_ns)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    struct malloctap_thread_slot *thread = recording_builder_add_thread(builder, 1, "main");
    header->end_ticks = header->start_ticks + 6000;
    thread->birth_ticks = header->start_ticks + 3000;
    thread->cpu_ns = cpu_ns;
    latency_fill(builder, 1, MALLOCTAP_PROBE_BLOCKED);
    assert_int_equal(recording_builder_write(builder, folder_path(name)), 0);
    recording_builder_destroy(builder);
}

/* No thread is longer in the allocator than it lives, however the estimate comes out, nor waits
 * while it is on its processor. */
static void no_longer_than_they_live(void **state)
{
    short_life_write("h.mtap", 0);
    assert_float_equal(taken("h.mtap", MEASURE_alloc_ns), 3000, 1e-6);
    assert_float_equal(taken("h.mtap", MEASURE_wait_ns), 2000, 1e-6);
    assert_float_equal(taken("h.mtap", MEASURE_alloc_thread_max_ns), 6000, 1e-6);
    short_life_write("i.mtap", 2200);
    assert_float_equal(taken("i.mtap", MEASURE_alloc_ns), 1800, 1e-6);
    assert_float_equal(taken("i.mtap", MEASURE_wait_ns), 800, 1e-6);
}

/* Threads that ended long ago are one row, and not one thread. */
static void threads_of_long_ago(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    header->end_ticks = header->start_ticks + 1000000000;
    recording_builder_add_thread(builder, 1, "main")->birth_ticks = header->start_ticks;
    latency_fill(builder, 1, MALLOCTAP_PROBE_FAST);
    latency_fill(builder, 0, MALLOCTAP_PROBE_FAST)->ops[MALLOCTAP_OP_FREE].time_ns = 5000;
    assert_int_equal(recording_builder_write(builder, folder_path("e.mtap")), 0);
    recording_builder_destroy(builder);
    assert_true(taken("e.mtap", MEASURE_alloc_ns) == 35000);
    assert_true(taken("e.mtap", MEASURE_alloc_thread_max_ns) == 15000);
}

/* Memory adds up of processes that lived at once. */
static void memory_of_the_tree(void **state)
{
    recording_write("f.mtap", (struct process){.pid = 1, .start_s = 10});
    assert_true(taken("f.mtap", MEASURE_tree_rss_bytes) == PEAK);
    recording_write("f.2.mtap", (struct process){.pid = 2, .start_s = 20});
    assert_true(taken("f.mtap", MEASURE_tree_rss_bytes) == PEAK);
    recording_write("f.3.mtap", (struct process){.pid = 3, .start_s = 20, .killed = true});
    assert_true(taken("f.mtap", MEASURE_tree_rss_bytes) == PEAK + SAMPLED_PEAK_KIB * 1024);
    recording_write("f.3.1.mtap", (struct process){.pid = 3, .start_s = 30});
    assert_true(taken("f.mtap", MEASURE_processes) == 3);
}

/* What is at least as much as all held is so much as the kernel says that one of them held. */
static void memory_of_the_tree_is_not_less_than_of_one(void **state)
{
    recording_write("j.mtap", (struct process){.pid = 1, .start_s = 10});
    kernel_peak = PEAK + 4096;
    assert_true(taken("j.mtap", MEASURE_tree_rss_bytes) == kernel_peak);
    kernel_peak = PEAK - 4096;
    assert_true(taken("j.mtap", MEASURE_tree_rss_bytes) == PEAK);
    assert_true(taken("j.mtap", MEASURE_peak_rss_bytes) == kernel_peak);
    kernel_peak = NAN;
    assert_true(taken("j.mtap", MEASURE_peak_rss_bytes) == PEAK);
    recording_write("j.2.mtap", (struct process){.pid = 2, .start_s = 10, .killed = true});
    assert_true(taken("j.mtap", MEASURE_peak_rss_bytes) == PEAK);
    assert_true(taken("j.2.mtap", MEASURE_peak_rss_bytes) == SAMPLED_PEAK_KIB * 1024);
}

static void locks_are_added(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    for (uint32_t kind = MALLOCTAP_LOCK_PARENT; kind <= MALLOCTAP_LOCK_OVERSIZE; kind++)
        *recording_builder_add_lock(builder) = (struct malloctap_lock_row){
            .kind = kind, .acquisitions = 1000, .contended = 10, .wait_ns = 500};
    assert_int_equal(recording_builder_write(builder, folder_path("g.mtap")), 0);
    recording_builder_destroy(builder);
    assert_true(taken("g.mtap", MEASURE_lock_acquisitions) == 3000);
    assert_true(taken("g.mtap", MEASURE_lock_contended) == 30);
    assert_true(taken("g.mtap", MEASURE_lock_wait_ns) == 1500);
    assert_true(isnan(taken("b.mtap", MEASURE_lock_wait_ns)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_are_added),
        cmocka_unit_test(times_are_unknown_without_probes),
        cmocka_unit_test(a_few_samples_are_none),
        cmocka_unit_test(waiting_is_unknown_where_the_kernel_is_not_asked),
        cmocka_unit_test(times_are_unknown_where_many_samples_are_missing),
        cmocka_unit_test(no_longer_than_they_live),
        cmocka_unit_test(threads_of_long_ago),
        cmocka_unit_test(memory_of_the_tree),
        cmocka_unit_test(memory_of_the_tree_is_not_less_than_of_one),
        cmocka_unit_test(locks_are_added),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
