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
    recording.main_thread = main_slot->thread;
    recording.worker = worker->thread;
    add_samples(&recording, recording.main_thread, recording.load, 66, 10000);
    add_samples(&recording, recording.worker, recording.insert, 30, 10000);
    add_samples(&recording, recording.worker, recording.load, 3, 10000);
    return recording;
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
