/* SPDX-License-Identifier: MIT */
/*
 * fuzz_reader.c - open any bytes as a recording and touch all that the reader hands out.
 *
 * The libFuzzer interface; mutate.c drives it where there is no libFuzzer. What must hold of
 * everything handed out is asserted here: that is the reader's promise to the tools.
 */
#include <malloctap/reader.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Read every byte, so that a sanitizer sees one that is not there. */
static uint64_t touch(const void *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += ((const volatile uint8_t *)bytes)[i];
    return sum;
}

static void read_header(struct malloctap_recording *recording)
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    touch(header->executable, strlen(header->executable));
    touch(header->options, strlen(header->options));
    REQUIRE(header->extent_count <= MALLOCTAP_EXTENTS_MAX);
    REQUIRE(malloctap_recording_ns(recording, header->start_ticks) == 0);
    malloctap_recording_duration_ns(recording);
    malloctap_recording_orphaned(recording);
}

static void read_counters(struct malloctap_recording *recording)
{
    struct malloctap_thread_slot slot;
    struct malloctap_counters counters;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);) {
        REQUIRE(slot.thread != 0);
        touch(slot.name, strlen(slot.name));
    }
    malloctap_recording_exited(recording, &counters);
    malloctap_recording_totals(recording, &counters);
    for (int op = 0; op < MALLOCTAP_OPS; op++)
        malloctap_counters_calls(&counters, (enum malloctap_op)op);
}

static void read_tables(struct malloctap_recording *recording)
{
    struct malloctap_module module;
    uint32_t modules = malloctap_recording_module_count(recording);
    for (uint32_t id = 0; id <= modules + 1; id++) {
        if (malloctap_recording_module(recording, id, &module)) {
            REQUIRE(id >= 1);
            REQUIRE(id <= modules || malloctap_recording_check(recording, NULL) != 0);
            REQUIRE(strlen(module.path) < sizeof(module.path));
            REQUIRE(module.build_id_size <= sizeof(module.build_id));
        }
    }
    struct malloctap_latency latency;
    for (uint64_t position = 0; malloctap_recording_next_latency(recording, &position, &latency);)
        REQUIRE(isfinite(latency.ops[0].buckets[0]) && latency.ops[0].buckets[0] >= 0);
    struct malloctap_lock_row row;
    for (uint64_t position = 0; malloctap_recording_next_lock(recording, &position, &row);)
        touch(&row, sizeof(row));
}

static void read_stack(struct malloctap_recording *recording, uint32_t id)
{
    struct malloctap_frames stack;
    if (malloctap_recording_stack(recording, id, &stack)) {
        REQUIRE(stack.count >= 1 && stack.count <= MALLOCTAP_STACK_FRAMES_MAX);
        touch(stack.frames, stack.count * sizeof(*stack.frames));
    }
}

static void read_event(struct malloctap_recording *recording, const struct malloctap_event *event)
{
    const struct malloctap_record *record = event->record;
    size_t least = sizeof(struct malloctap_sample);
    double weight = ((const struct malloctap_sample *)record)->weight;
    if (record->kind == MALLOCTAP_RECORD_FREED) {
        least = sizeof(struct malloctap_freed);
        weight = ((const struct malloctap_freed *)record)->weight;
    }
    REQUIRE((uintptr_t)record % 8 == 0);
    REQUIRE(record->length >= least);
    REQUIRE(record->op < MALLOCTAP_OPS);
    REQUIRE(isfinite(weight) && weight >= 1);
    REQUIRE(!event->logged || (record->kind != MALLOCTAP_RECORD_FREED && weight == 1));
    REQUIRE(event->old == 0 || (event->logged && record->op == MALLOCTAP_OP_REALLOC));
    touch(record, record->length);
    malloctap_recording_ns(recording, malloctap_record_ticks(record));
    read_stack(recording, record->stack);
}

/* What a walk over all records met. */
struct walk {
    size_t records;
    size_t damages;
};

static bool walk_on(struct malloctap_recording *recording, struct walk *walk, int result,
                    const struct malloctap_event *event, const struct malloctap_error *error,
                    size_t size)
{
    if (result == 0)
        return false;
    REQUIRE(walk->records + walk->damages <= size); /* the shortest event has two bytes */
    if (result > 0) {
        read_event(recording, event);
        walk->records++;
    } else {
        REQUIRE(strlen(error->text) > 0 && strchr(error->text, '\n') == NULL);
        walk->damages++;
    }
    return true;
}

static struct walk read_in_order_of_claim(struct malloctap_recording *recording, size_t size)
{
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    struct malloctap_error error;
    struct walk walk = {0};
    if (malloctap_cursor_open(recording, &cursor, &error) != 0)
        return walk;
    while (walk_on(recording, &walk, malloctap_cursor_next(cursor, &event, &error), &event, &error,
                   size))
        ;
    malloctap_cursor_close(cursor);
    return walk;
}

static struct walk read_in_order_of_time(struct malloctap_recording *recording, uint64_t from,
                                         uint64_t until, size_t size)
{
    struct malloctap_merge *merge;
    struct malloctap_event event;
    struct malloctap_error error;
    struct walk walk = {0};
    if (malloctap_merge_open(recording, from, until, &merge, &error) != 0)
        return walk;
    while (walk_on(recording, &walk, malloctap_merge_next(merge, &event, &error), &event, &error,
                   size))
        ;
    malloctap_merge_close(merge);
    return walk;
}

/* Bytes that may hold records: of a packed recording, more than the file has. */
static size_t size_of_chunks(struct malloctap_recording *recording)
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    size_t size = 0;
    for (uint32_t i = 0; i < header->extent_count; i++)
        size += header->extents[i].kind == MALLOCTAP_EXTENT_CHUNKS ? header->extents[i].size : 0;
    return size;
}

/* The same records in either order, unless the file changes meanwhile. */
static void read_records(struct malloctap_recording *recording)
{
    size_t size = size_of_chunks(recording);
    struct walk claim = read_in_order_of_claim(recording, size);
    struct walk time = read_in_order_of_time(recording, 0, UINT64_MAX, size);
    if (malloctap_recording_check(recording, NULL) == 0)
        REQUIRE(claim.records == time.records && claim.damages == time.damages);
    struct walk part = read_in_order_of_time(recording, 3000, 40000, size);
    if (malloctap_recording_check(recording, NULL) == 0 && time.damages == 0)
        REQUIRE(part.records <= time.records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[32];
    struct malloctap_recording *recording;
    struct malloctap_error error = {0};
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        REQUIRE(fd >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    REQUIRE(ftruncate(fd, 0) == 0);
    REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
    if (malloctap_recording_open(path, &recording, &error) != 0) {
        REQUIRE(strncmp(error.text, path, strlen(path)) == 0 && strchr(error.text, ';') != NULL);
        return 0;
    }
    read_header(recording);
    read_counters(recording);
    read_tables(recording);
    read_records(recording);
    for (uint32_t id = 0; id < 600; id++)
        read_stack(recording, id);
    malloctap_recording_check(recording, &error);
    malloctap_recording_refresh(recording, &error);
    /* Once more with half of the file gone. */
    REQUIRE(ftruncate(fd, (off_t)(size / 2)) == 0);
    read_counters(recording);
    read_tables(recording);
    read_records(recording);
    malloctap_recording_refresh(recording, &error);
    malloctap_recording_close(recording);
    return 0;
}
