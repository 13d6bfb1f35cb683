/* SPDX-License-Identifier: MIT */
/*
 * make_golden.c - write the golden recordings of the current format version into a directory.
 *
 * Run by hand, once for each released version of the format: the files are then kept for good, and
 * every later reader must read them as their .expected says.
 */
#include "recording_builder.h"

#include <stdio.h>
#include <string.h>

static void count(struct malloctap_counters *counters, uint64_t calls)
{
    counters->calls[MALLOCTAP_OP_MALLOC][0] = 1;
    counters->calls[MALLOCTAP_OP_MALLOC][7] = calls;
    counters->calls[MALLOCTAP_OP_CALLOC][64] = calls / 2;
    counters->calls[MALLOCTAP_OP_REALLOC][10] = calls / 3;
    counters->calls[MALLOCTAP_OP_ALIGNED][12] = calls / 4;
    for (uint64_t op = 0; op < MALLOCTAP_OPS_ALLOC; op++) {
        counters->bytes[op] = calls * 100 * (op + 1);
        counters->failed[op] = op;
    }
    uint64_t value = calls;
#define X(name) counters->name = value++;
    MALLOCTAP_COUNTERS(X)
#undef X
}

static void add_tables(struct recording_builder *builder)
{
    uint32_t program =
        recording_builder_add_module(builder, "/usr/bin/example", 0x400000, 0x500000, 0);
    struct malloctap_module *module = recording_builder_module(builder, program);
    module->build_id_size = 20;
    for (uint8_t i = 0; i < 20; i++)
        module->build_id[i] = i * 7;
    recording_builder_add_module(builder, "/usr/lib/libexample.so.1", 0x7f0000000000,
                                 0x7f0000100000, 0x7f0000000000);
    for (uint32_t i = 1; i <= 3; i++) {
        struct malloctap_lock_row *row = recording_builder_add_lock(builder);
        row->kind = i == 2 ? 0 : MALLOCTAP_LOCK_CACHE;
        row->list = i;
        row->buffer_size = 64 * i;
        row->acquisitions = 1000 * i;
        row->contended = 10 * i;
        row->wait_ns = 5000 * i;
        row->wait_max_ns = 700 * i;
    }
}

/* `samples` records of one thread, on two stacks; every third block is freed again. */
static void add_records(struct recording_builder *builder, uint64_t thread, uint64_t samples,
                        const uint32_t *stacks)
{
    for (uint64_t i = 0; i < samples; i++) {
        struct malloctap_sample sample = {
            .head = {.op = MALLOCTAP_OP_MALLOC, .stack = stacks[i % 2]},
            .ticks = 2000 + i * 100,
            .address = 0x10000 + i * 64,
            .size = 10 + i,
            .weight = 1 + (double)i / 8,
            .flags = i % 5 == 0 ? MALLOCTAP_SAMPLE_UNTRACKED : 0,
        };
        recording_builder_add_alloc(builder, thread, sample);
        struct malloctap_freed freed = {
            .head = {.op = MALLOCTAP_OP_FREE, .stack = sample.head.stack},
            .ticks = sample.ticks + 50,
            .address = sample.address,
            .size = sample.size,
            .weight = sample.weight,
            .allocated_ticks = sample.ticks,
        };
        if (i % 3 == 0)
            recording_builder_add_freed(builder, thread, freed);
        sample = (struct malloctap_sample){.head = {.op = MALLOCTAP_OP_FREE, .stack = stacks[0]},
                                           .ticks = sample.ticks + 60,
                                           .address = sample.address,
                                           .weight = 2};
        if (i % 4 == 0)
            recording_builder_add_free(builder, thread, sample);
    }
}

static struct recording_builder *example(void)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_split(builder, MALLOCTAP_EXTENT_CHUNKS, 4096);
    add_tables(builder);
    const uint64_t frames[] = {recording_builder_frame(2, 0x1234),
                               recording_builder_frame(1, 0x401000),
                               recording_builder_frame(0, 0x7fffdeadbeef)};
    const uint32_t stacks[] = {
        recording_builder_add_stack(builder, frames, 3, 0),
        recording_builder_add_stack(builder, frames + 1, 1, MALLOCTAP_STACK_TRUNCATED)};
    for (uint32_t i = 1; i <= 3; i++) {
        struct malloctap_thread_slot *slot =
            recording_builder_add_thread(builder, 4710 + i, i == 1 ? "example" : "worker");
        slot->birth_ticks = 1000 * i;
        count(&slot->counters, 100 * i);
        add_records(builder, slot->thread, 30 * i, stacks);
    }
    struct malloctap_header *header = recording_builder_header(builder);
    header->clock_mult = 1ULL << 30;
    header->clock_shift = 31; /* half a nanosecond a tick */
    header->exited.published = 77 << 1 | 1;
    header->exited.threads[0] = 6;
    header->exited.threads[1] = 7;
    count(&header->exited.copy[0], 6000);
    count(&header->exited.copy[1], 7000);
    count(&header->unslotted, 9);
    header->lost.records_overwritten = 12;
    header->lost.unwinder_missing = 13;
    return builder;
}

/* Killed after a fold was published and before the slot was made free. */
static void kill_in_fold(struct recording_builder *builder)
{
    struct malloctap_header *header = recording_builder_header(builder);
    header->state = MALLOCTAP_STATE_RUNNING;
    header->end_ticks = 0;
    header->pid = UINT32_MAX; /* of no process */
    header->exited.published = 3 << 1 | 0;
    header->exited.threads[0] = 8;
    count(&header->exited.copy[0], 7300);
}

enum { LOG_THREADS = 3 };

/* The `i`th allocation of each thread, and every other time its end, by the next thread. */
static void add_round(struct recording_builder *builder, uint64_t i, const uint32_t *stacks)
{
    for (uint64_t thread = 1; thread <= LOG_THREADS; thread++) {
        struct recording_builder_call call = {
            .op = (enum malloctap_op)(i % MALLOCTAP_OPS_ALLOC),
            .stack = i % 7 == 6 ? 0 : stacks[i / 3 % 2],
            .ticks = 2000 + i * 1000 + thread,
            .address = 0x7f0000000000 + (thread << 32) + i * 4096,
            .size = i * i * i,
            .failed = i % 11 == 10,
        };
        if (call.op == MALLOCTAP_OP_REALLOC) {
            call.old = i % 3 == 0 ? 0 : call.address - (i % 3 == 1 ? 8192 : 0);
            call.duration = i * 10;
        }
        call.address = call.failed ? 0 : call.address;
        recording_builder_add_call(builder, thread, &call);
    }
    for (uint64_t thread = 1; thread <= LOG_THREADS && i % 2 == 1; thread++) {
        struct recording_builder_call end = {
            .op = MALLOCTAP_OP_FREE,
            .stack = stacks[1],
            .ticks = 2500 + i * 1000 + thread,
            .address = i % 11 == 10 ? 0 : 0x7f0000000000 + (thread << 32) + i * 4096};
        recording_builder_add_call(builder, 1 + thread % LOG_THREADS, &end);
    }
}

static void add_log(struct recording_builder *builder, const uint32_t *stacks)
{
    for (uint64_t i = 0; i < 40; i++) {
        add_round(builder, i, stacks);
        if (i % 17 == 16)
            recording_builder_seal(builder, 1 + i % LOG_THREADS);
    }
    struct recording_builder_call gone = {
        .op = MALLOCTAP_OP_REALLOC, .ticks = 50000, .old = 0x7f0100000000};
    recording_builder_add_call(builder, 1, &gone);
}

static struct recording_builder *log_example(void)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    header->mode = MALLOCTAP_MODE_LOG;
    header->overwritten_until = 1500;
    header->lost_since = 60000;
    add_tables(builder);
    const uint64_t frames[] = {recording_builder_frame(1, 0x1234),
                               recording_builder_frame(2, 0x5678)};
    const uint32_t stacks[] = {recording_builder_add_stack(builder, frames, 2, 0),
                               recording_builder_add_stack(builder, frames + 1, 1, 0)};
    for (uint32_t i = 1; i <= LOG_THREADS; i++) {
        recording_builder_add_thread(builder, 4710 + i, "worker");
        struct malloctap_latency *row = recording_builder_add_latency(builder);
        row->thread = i;
        for (unsigned bucket = 0; bucket < MALLOCTAP_LATENCY_BUCKETS; bucket++)
            row->ops[MALLOCTAP_OP_MALLOC].buckets[bucket] = bucket * i / 2.0;
        row->ops[MALLOCTAP_OP_MALLOC].weight[MALLOCTAP_PROBE_FAST] = 10.5 * i;
        row->ops[MALLOCTAP_OP_MALLOC].time_ns = 100.25 * i;
        row->ops[MALLOCTAP_OP_MALLOC].max_ns = 1000 * i;
        row->ops[MALLOCTAP_OP_MALLOC].samples = i;
    }
    add_log(builder, stacks);
    add_records(builder, 3, 5, stacks); /* switched to samples */
    return builder;
}

static int write_golden(struct recording_builder *builder, const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/v%u-%s.mtap", directory, MALLOCTAP_VERSION, name);
    int result = recording_builder_write(builder, path);
    if (result != 0)
        perror(path);
    recording_builder_destroy(builder);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make-golden DIRECTORY\n");
        return 2;
    }
    struct recording_builder *killed = example();
    kill_in_fold(killed);
    int finished = write_golden(example(), argv[1], "finished");
    int log = write_golden(log_example(), argv[1], "log");
    return write_golden(killed, argv[1], "killed") != 0 || finished != 0 || log != 0;
}
