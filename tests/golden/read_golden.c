/* SPDX-License-Identifier: MIT */
/*
 * read_golden.c - print all that the reader makes of a recording, one fact a line.
 *
 * The test compares it with the .expected beside the golden file. Records are summed up by stack,
 * so that the reading stays short.
 */
#include <malloctap/reader.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *const op_names[MALLOCTAP_OPS] = {
#define X(NAME, name) [MALLOCTAP_OP_##NAME] = #name,
    MALLOCTAP_ALLOC_OPS(X)
#undef X
        [MALLOCTAP_OP_FREE] = "free",
};

static void print_header(struct malloctap_recording *recording)
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    printf("version %u state %u mode %u pid %u parent %u arch %u\n", header->version, header->state,
           header->mode, header->pid, header->parent_pid, header->arch);
    printf("started %" PRIu64 " ns, lasted %" PRIu64 " ns, orphaned %d\n",
           header->start_realtime_ns, malloctap_recording_duration_ns(recording),
           malloctap_recording_orphaned(recording));
    printf("overwritten until %" PRIu64 ", lost since %" PRIu64 "\n", header->overwritten_until,
           header->lost_since);
    printf("sampling mean %" PRIu64 " units, %" PRIu64 " a call\n", header->sample_mean,
           header->call_units);
    printf("executable %s\ncommand line %s\nbackend %s in %s\noptions %s\n", header->executable,
           header->command_line, header->backend, header->backend_object, header->options);
#define X(name) printf("lost " #name " %" PRIu64 "\n", header->lost.name);
    MALLOCTAP_LOSSES(X)
#undef X
}

static void print_counters(const char *title, const struct malloctap_counters *counters)
{
    for (int op = 0; op < MALLOCTAP_OPS_ALLOC; op++) {
        printf("%s %s calls %" PRIu64 " bytes %" PRIu64 " failed %" PRIu64 "\n", title,
               op_names[op], malloctap_counters_calls(counters, (enum malloctap_op)op),
               counters->bytes[op], counters->failed[op]);
    }
#define X(name) printf("%s " #name " %" PRIu64 "\n", title, counters->name);
    MALLOCTAP_COUNTERS(X)
#undef X
}

static void print_threads(struct malloctap_recording *recording)
{
    struct malloctap_counters counters;
    struct malloctap_thread_slot slot;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);) {
        printf("thread %" PRIu64 " tid %u %s state %u born %" PRIu64 "\n", slot.thread, slot.tid,
               slot.name, slot.state, slot.birth_ticks);
        print_counters("  ", &slot.counters);
    }
    printf("exited threads %" PRIu64 "\n", malloctap_recording_exited(recording, &counters));
    malloctap_recording_totals(recording, &counters);
    print_counters("total", &counters);
}

static void print_tables(struct malloctap_recording *recording)
{
    struct malloctap_module module;
    for (uint32_t id = 1; id <= malloctap_recording_module_count(recording); id++) {
        if (!malloctap_recording_module(recording, id, &module))
            continue;
        printf("module %u %#" PRIx64 "-%#" PRIx64 " bias %#" PRIx64 " %s build-id ", id,
               module.start, module.end, module.bias, module.path);
        for (uint32_t i = 0; i < module.build_id_size; i++)
            printf("%02x", module.build_id[i]);
        printf("\n");
    }
    struct malloctap_latency latency;
    for (uint64_t position = 0; malloctap_recording_next_latency(recording, &position, &latency);) {
        for (int op = 0; op < MALLOCTAP_OPS; op++) {
            double calls = 0;
            for (unsigned bucket = 0; bucket < MALLOCTAP_LATENCY_BUCKETS; bucket++)
                calls += latency.ops[op].buckets[bucket];
            printf("latency thread %" PRIu64 " %s samples %" PRIu64 " fast %.3f time %.3f longest "
                   "%" PRIu64 " in buckets %.3f\n",
                   latency.thread, op_names[op], latency.ops[op].samples,
                   latency.ops[op].weight[MALLOCTAP_PROBE_FAST], latency.ops[op].time_ns,
                   latency.ops[op].max_ns, calls);
        }
    }
    struct malloctap_lock_row row;
    for (uint64_t position = 0; malloctap_recording_next_lock(recording, &position, &row);) {
        printf("lock kind %u list %u buffer %u acquired %" PRIu64 " contended %" PRIu64
               " waited %" PRIu64 " longest %" PRIu64 "\n",
               row.kind, row.list, row.buffer_size, row.acquisitions, row.contended, row.wait_ns,
               row.wait_max_ns);
    }
}

#define STACK_IDS 4096

static int print_records(struct malloctap_recording *recording)
{
    static struct {
        uint64_t records[MALLOCTAP_RECORD_FREED + 1];
        double calls, calls_variance, bytes, ticks;
    } sums[STACK_IDS];
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    struct malloctap_error error;
    if (malloctap_cursor_open(recording, &cursor, &error) != 0)
        return -1;
    for (int result; (result = malloctap_cursor_next(cursor, &event, &error)) != 0;) {
        if (result < 0) {
            printf("%s\n", error.text);
            continue;
        }
        uint32_t id = event.record->stack % STACK_IDS;
        sums[id].records[event.record->kind]++;
        sums[id].ticks += (double)malloctap_record_ticks(event.record);
        if (event.record->kind == MALLOCTAP_RECORD_ALLOC) {
            const struct malloctap_sample *sample = (const struct malloctap_sample *)event.record;
            sums[id].calls += sample->weight;
            sums[id].calls_variance += sample->weight * (sample->weight - 1);
            sums[id].bytes += sample->weight * (double)sample->size;
        }
    }
    malloctap_cursor_close(cursor);
    for (uint32_t id = 0; id < STACK_IDS; id++) {
        if (sums[id].records[MALLOCTAP_RECORD_ALLOC] > 0) {
            printf("estimate stack %u calls %.3f +- %.3f\n", id, sums[id].calls,
                   sqrt(sums[id].calls_variance));
        }
    }
    for (uint32_t id = 0; id < STACK_IDS; id++) {
        struct malloctap_frames stack;
        if (!malloctap_recording_stack(recording, id, &stack))
            continue;
        printf("stack %u allocs %" PRIu64 " frees %" PRIu64 " freed %" PRIu64
               " bytes %.3f ticks %.0f flags %u frames",
               id, sums[id].records[MALLOCTAP_RECORD_ALLOC],
               sums[id].records[MALLOCTAP_RECORD_FREE], sums[id].records[MALLOCTAP_RECORD_FREED],
               sums[id].bytes, sums[id].ticks, stack.flags);
        for (uint32_t i = 0; i < stack.count; i++)
            printf(" %u+%#" PRIx64, MALLOCTAP_FRAME_MODULE(stack.frames[i]),
                   (uint64_t)MALLOCTAP_FRAME_OFFSET(stack.frames[i]));
        printf("\n");
    }
    return 0;
}

/* Every call of a log, in order of time. */
static int print_log(struct malloctap_recording *recording)
{
    struct malloctap_merge *merge;
    struct malloctap_event event;
    struct malloctap_error error;
    if (malloctap_merge_open(recording, 0, UINT64_MAX, &merge, &error) != 0)
        return -1;
    while (malloctap_merge_next(merge, &event, &error) == 1) {
        const struct malloctap_sample *sample = (const struct malloctap_sample *)event.record;
        if (!event.logged)
            continue;
        bool end = sample->head.kind == MALLOCTAP_RECORD_FREE;
        printf("call %" PRIu64 " thread %" PRIu64 " %s %s %#" PRIx64 " size %" PRIu64
               " old %#" PRIx64 " stack %u%s\n",
               sample->ticks, event.thread, op_names[sample->head.op], end ? "ends" : "begins",
               sample->address, sample->size, event.old, sample->head.stack,
               sample->flags & MALLOCTAP_SAMPLE_FAILED ? " failed" : "");
    }
    malloctap_merge_close(merge);
    return 0;
}

int main(int argc, char **argv)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    if (argc != 2 || malloctap_recording_open(argv[1], &recording, &error) != 0) {
        fprintf(stderr, "%s\n", argc == 2 ? error.text : "usage: read-golden RECORDING");
        return 2;
    }
    print_header(recording);
    print_threads(recording);
    print_tables(recording);
    int result = print_records(recording);
    if (print_log(recording) != 0)
        result = -1;
    if (malloctap_recording_check(recording, &error) != 0) {
        printf("%s\n", error.text);
        result = -1;
    }
    malloctap_recording_close(recording);
    return result == 0 ? 0 : 1;
}
