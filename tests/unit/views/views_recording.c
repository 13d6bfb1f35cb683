/* SPDX-License-Identifier: MIT */
#include "views_recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct malloctap_thread_slot *add_thread(struct recording_builder *builder, uint32_t tid,
                                                const char *name, uint64_t mallocs)
{
    struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, tid, name);
    slot->birth_ticks = RECORDING_BUILDER_START_TICKS;
    slot->counters.calls[MALLOCTAP_OP_MALLOC][7] = mallocs;
    slot->counters.bytes[MALLOCTAP_OP_MALLOC] = mallocs * 100;
    slot->counters.calls[MALLOCTAP_OP_CALLOC][13] = mallocs / 10;
    slot->counters.bytes[MALLOCTAP_OP_CALLOC] = mallocs / 10 * 5000;
    slot->counters.frees = mallocs / 2;
    return slot;
}

static void add_samples(struct views_recording *recording, uint64_t thread, uint32_t stack,
                        int count, double weight)
{
    static uint64_t address = 0;
    for (int i = 0; i < count; i++) {
        address += 16;
        recording_builder_add_alloc(recording->builder, thread,
                                    (struct malloctap_sample){
                                        .head = {.op = MALLOCTAP_OP_MALLOC, .stack = stack},
                                        .ticks = RECORDING_BUILDER_START_TICKS + address,
                                        .address = address,
                                        .size = 100,
                                        .weight = weight,
                                    });
    }
}

struct views_recording views_recording_create(void)
{
    struct views_recording recording = {.builder = recording_builder_create()};
    struct recording_builder *builder = recording.builder;
    struct malloctap_header *header = recording_builder_header(builder);
    strcpy(header->executable, "/usr/bin/app");
    strcpy(header->command_line, "app --fill 'two tables'");
    strcpy(header->backend, "own");
    strcpy(header->backend_object, "/lib/libc.so.6");
    header->peak_rss_bytes = 96 << 20;

    uint32_t app = recording_builder_add_module(builder, "app", 0x400000, 0x500000, 0x400000);
    uint32_t table =
        recording_builder_add_module(builder, "libtable.so", 0x700000, 0x800000, 0x700000);
    const uint64_t load[] = {recording_builder_frame(table, 0x1230),
                             recording_builder_frame(app, 0x2340)};
    const uint64_t insert[] = {recording_builder_frame(table, 0x4560),
                               recording_builder_frame(table, 0x5670),
                               recording_builder_frame(app, 0x2340)};
    recording.load = recording_builder_add_stack(builder, load, 2, 0);
    recording.insert = recording_builder_add_stack(builder, insert, 3, MALLOCTAP_STACK_TRUNCATED);

    struct malloctap_thread_slot *main_slot = add_thread(builder, 4711, "app", 600000);
    struct malloctap_thread_slot *worker = add_thread(builder, 4712, "filler \xff", 300000);
    worker->state = MALLOCTAP_THREAD_EXITED;
    worker->death_ticks = RECORDING_BUILDER_START_TICKS + 250000000;
    main_slot->cpu_ns = 400000000;
    recording.main_thread = main_slot->thread;
    recording.worker = worker->thread;
    add_samples(&recording, recording.main_thread, recording.load, 66, 10000);
    add_samples(&recording, recording.worker, recording.insert, 30, 10000);
    add_samples(&recording, recording.worker, recording.load, 3, 10000);
    return recording;
}

/* ---- probes ---------------------------------------------------------------------------------- */

static struct malloctap_latency *add_latency(struct recording_builder *builder, uint64_t thread)
{
    struct malloctap_latency *row = recording_builder_add_latency(builder);
    row->thread = thread;
    return row;
}

/* What the tap does with a probed call. `bucket` is that of its time, as the format gives it. */
static void probe(struct malloctap_latency *row, struct malloctap_sample *sample,
                  enum malloctap_probe class, unsigned bucket, uint64_t time_ns, uint64_t wait_ns)
{
    double weight = sample->weight, time = (double)time_ns, wait = (double)wait_ns;
    sample->probe = class;
    sample->time_ns = time_ns;
    sample->wait_ns = wait_ns;
    row->ops[sample->head.op].samples++;
    row->ops[sample->head.op].weight[class] += weight;
    if (class == MALLOCTAP_PROBE_PREEMPTED)
        return;
    row->ops[sample->head.op].time_ns += weight * time;
    row->ops[sample->head.op].wait_ns += weight * wait;
    row->ops[sample->head.op].time_variance += weight * (weight - 1) * time * time;
    row->ops[sample->head.op].wait_variance += weight * (weight - 1) * wait * wait;
    row->ops[sample->head.op].buckets[bucket] += weight;
    if (row->ops[sample->head.op].max_ns < time_ns)
        row->ops[sample->head.op].max_ns = time_ns;
}

static void probe_one_in_twenty(struct malloctap_latency *row, struct malloctap_sample *sample,
                                int i)
{
    if (i == 0)
        probe(row, sample, MALLOCTAP_PROBE_BLOCKED, 135, 500000, 450000);
    else if (i == 1)
        probe(row, sample, MALLOCTAP_PROBE_FAULTING, 75, 3000, 0);
    else if (i == 2)
        probe(row, sample, MALLOCTAP_PROBE_PREEMPTED, 0, 4000000, 0);
    else
        probe(row, sample, MALLOCTAP_PROBE_FAST, 36, 100, 0);
}

void views_recording_add_probes(struct views_recording *recording)
{
    struct recording_builder *builder = recording->builder;
    struct malloctap_header *header = recording_builder_header(builder);
    recording->folded = add_latency(builder, 0);
    struct malloctap_latency *main_row = add_latency(builder, recording->main_thread);
    struct malloctap_latency *worker_row = add_latency(builder, recording->worker);
    header->rss_bytes = 40 << 20;
    for (int i = 0; i < 20; i++) {
        struct malloctap_sample sample = {
            .head = {.op = MALLOCTAP_OP_MALLOC, .stack = recording->load},
            .ticks = RECORDING_BUILDER_START_TICKS + 100000000,
            .address = (1u << 20) + 16u * (unsigned)i,
            .size = 100,
            .weight = 10000,
            .usable = 104,
            .peak_rss_kib = i < 10 ? 50 << 10 : 96 << 10,
        };
        probe_one_in_twenty(main_row, &sample, i);
        recording_builder_add_alloc(builder, recording->main_thread, sample);
    }
    for (int i = 0; i < 10; i++) {
        struct malloctap_sample sample = {
            .head = {.op = MALLOCTAP_OP_FREE, .stack = recording->insert},
            .ticks = RECORDING_BUILDER_START_TICKS + 200000000,
            .address = 16,
            .weight = 10000,
        };
        probe(worker_row, &sample, MALLOCTAP_PROBE_FAST, 34, 80, 0);
        recording_builder_add_free(builder, recording->worker, sample);
    }
}

struct malloctap_recording *views_recording_open(struct recording_builder *builder)
{
    static const char name[] = "app.mtap";
    char directory[] = "/tmp/test_views.XXXXXX";
    struct malloctap_recording *recording = NULL;
    struct malloctap_error error = {{0}};
    if (!mkdtemp(directory) || chdir(directory) < 0 || recording_builder_write(builder, name) < 0 ||
        malloctap_recording_open(name, &recording, &error) < 0) {
        fprintf(stderr, "views_recording: %s\n", error.text);
        abort();
    }
    unlink(name);
    rmdir(directory);
    return recording;
}
