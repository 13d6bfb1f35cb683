/* SPDX-License-Identifier: MIT */
/*
 * docs/FORMAT.md says what recording.h says.
 *
 * Its tables of structures have rows "| offset | size | `field` | meaning |" under a heading that
 * names the structure; they must cover it from the first byte to the last, in order. Rows
 * "| `MALLOCTAP_NAME` | value |" give constants.
 */
#include <malloctap/recording.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef FORMAT_DOCUMENT
#error "the build names the document"
#endif

struct field {
    const char *structure;
    const char *name;
    size_t offset;
    size_t size;
};

/* The fields of each structure, in the order of their offsets; those that recording.h declares by a
 * macro come from there. */
#define FIELD(structure, name)                                                                     \
    {#structure, #name, offsetof(struct structure, name), sizeof(((struct structure *)0)->name)},

/* clang-format off */
static const struct field fields[] = {
#define X(name) FIELD(malloctap_header, name)
    X(magic) X(version) X(byte_order) X(header_size) X(header_used) X(features) X(state) X(mode)
    X(pid) X(parent_pid) X(arch) X(pointer_bits) X(page_size) X(chunk_size) X(start_realtime_ns)
    X(start_ticks) X(end_ticks) X(clock_mult) X(clock_shift) X(sample_mean) X(call_units)
    X(ring_limit) X(peak_rss_bytes) X(rss_bytes) X(probe_cost_ns) X(overwritten_until)
    X(lost_since) X(control) X(children_unrecorded) X(reserved) X(lost) X(executable) X(command_line) X(backend)
    X(backend_object) X(options) X(unslotted) X(exited) X(extent_count) X(reserved2) X(extents)
#undef X
#define X(name) FIELD(malloctap_control, name)
    X(generation) X(seen) X(mode) X(modes) X(calls) X(bytes)
#undef X
#define X(name) FIELD(malloctap_losses, name)
    MALLOCTAP_LOSSES(X)
#undef X
#define X(name) FIELD(malloctap_counters, name)
    X(bytes) MALLOCTAP_COUNTERS(X) X(failed) X(reserved) X(calls)
#undef X
#define X(name) FIELD(malloctap_exited, name)
    X(published) X(threads) X(copy)
#undef X
#define X(name) FIELD(malloctap_extent, name)
    X(kind) X(reserved) X(offset) X(size)
#undef X
#define X(name) FIELD(malloctap_thread_slot, name)
    X(state) X(tid) X(thread) X(birth_ticks) X(death_ticks) X(name) X(latency) X(cpu_ns)
    X(reserved) X(counters)
#undef X
#define X(name) FIELD(malloctap_stack, name)
    X(frame_count) X(flags)
#undef X
#define X(name) FIELD(malloctap_module, name)
    X(committed) X(build_id_size) X(start) X(end) X(bias) X(first_ticks) X(build_id) X(path)
#undef X
#define X(name) FIELD(malloctap_chunk, name)
    X(state) X(committed) X(sequence) X(thread) X(first_ticks) X(records) X(tid) X(last_ticks)
    X(content) X(reserved)
#undef X
#define X(name) FIELD(malloctap_record, name)
    X(kind) X(op) X(length) X(stack)
#undef X
#define X(name) FIELD(malloctap_sample, name)
    X(head) X(ticks) X(address) X(size) X(weight) X(flags) X(probe) X(time_ns) X(wait_ns)
    X(usable) X(peak_rss_kib) X(reserved)
#undef X
#define X(name) FIELD(malloctap_freed, name)
    X(head) X(ticks) X(address) X(size) X(weight) X(allocated_ticks)
#undef X
#define X(name) FIELD(malloctap_latency, name)
    X(thread) X(reserved) X(ops)
#undef X
#define X(name) {"malloctap_latency_op", #name,                                                    \
     offsetof(struct malloctap_latency, ops[0].name) - offsetof(struct malloctap_latency, ops),    \
     sizeof(((struct malloctap_latency *)0)->ops[0].name)},
    X(weight) X(time_ns) X(wait_ns) X(max_ns) X(samples) X(time_variance) X(wait_variance) X(reserved)
    X(buckets)
#undef X
#define X(name) FIELD(malloctap_lock_row, name)
    X(kind) X(list) X(buffer_size) X(caches) X(acquisitions) X(contended) X(wait_ns)
    X(wait_max_ns) X(held_bytes) X(buffers) X(in_use) X(in_use_bytes) X(requested_bytes)
    X(reserved)
#undef X
};

/* Structures, where their tables must end, and how far they were documented. */
static struct structure {
    const char *name;
    size_t size;
    size_t documented;
} structures[] = {
#define X(name) {#name, sizeof(struct name), 0},
    X(malloctap_header) X(malloctap_control) X(malloctap_losses) X(malloctap_counters)
    X(malloctap_exited) X(malloctap_extent) X(malloctap_thread_slot) X(malloctap_module)
    X(malloctap_stack) X(malloctap_chunk) X(malloctap_record) X(malloctap_sample)
    X(malloctap_freed) X(malloctap_latency) X(malloctap_lock_row)
#undef X
    {"malloctap_latency_op", sizeof(((struct malloctap_latency *)0)->ops[0]), 0},
};

static struct constant {
    const char *name;
    unsigned long long value;
    bool documented;
} constants[] = {
#define X(name) {#name, name, false},
    X(MALLOCTAP_MAGIC) X(MALLOCTAP_VERSION) X(MALLOCTAP_BYTE_ORDER) X(MALLOCTAP_FEATURES_KNOWN)
    X(MALLOCTAP_FEATURE_COLUMNS)
    X(MALLOCTAP_HEADER_SIZE) X(MALLOCTAP_EXTENTS_MAX) X(MALLOCTAP_SIZE_CLASSES)
    X(MALLOCTAP_THREAD_SLOT_SIZE) X(MALLOCTAP_STACK_FRAMES_MAX) X(MALLOCTAP_STATE_RUNNING)
    X(MALLOCTAP_STATE_FINISHED) X(MALLOCTAP_MODE_COUNT) X(MALLOCTAP_MODE_SAMPLE)
    X(MALLOCTAP_MODE_LOG) X(MALLOCTAP_OP_MALLOC) X(MALLOCTAP_OP_CALLOC) X(MALLOCTAP_OP_REALLOC)
    X(MALLOCTAP_OP_ALIGNED) X(MALLOCTAP_OP_FREE) X(MALLOCTAP_THREAD_UNUSED)
    X(MALLOCTAP_THREAD_LIVE) X(MALLOCTAP_THREAD_EXITED) X(MALLOCTAP_EXTENT_THREADS)
    X(MALLOCTAP_EXTENT_DEPOT) X(MALLOCTAP_EXTENT_MODULES) X(MALLOCTAP_EXTENT_CHUNKS)
    X(MALLOCTAP_EXTENT_LATENCY) X(MALLOCTAP_EXTENT_LOCKS) X(MALLOCTAP_STACK_TRUNCATED)
    X(MALLOCTAP_STACK_LIMITED) X(MALLOCTAP_CHUNK_FREE) X(MALLOCTAP_CHUNK_OPEN)
    X(MALLOCTAP_CHUNK_SEALED) X(MALLOCTAP_CHUNK_RECORDS) X(MALLOCTAP_CHUNK_LOG)
    X(MALLOCTAP_RECORD_ALLOC) X(MALLOCTAP_RECORD_FREE) X(MALLOCTAP_RECORD_FREED)
    X(MALLOCTAP_SAMPLE_FAILED) X(MALLOCTAP_SAMPLE_UNTRACKED) X(MALLOCTAP_SAMPLE_WATCHED) X(MALLOCTAP_PROBE_NONE)
    X(MALLOCTAP_PROBE_FAST) X(MALLOCTAP_PROBE_FAULTING) X(MALLOCTAP_PROBE_BLOCKED)
    X(MALLOCTAP_PROBE_PREEMPTED) X(MALLOCTAP_PROBE_UNCLASSED) X(MALLOCTAP_PROBES)
    X(MALLOCTAP_LOG_FAILED) X(MALLOCTAP_LOG_TIME_SHIFT) X(MALLOCTAP_LOG_STACK_SHIFT)
    X(MALLOCTAP_LOG_ADDRESS_SHIFT) X(MALLOCTAP_LOG_SIZE_SHIFT) X(MALLOCTAP_LOG_OLD_SHIFT)
    X(MALLOCTAP_LOG_DURATION_SHIFT) X(MALLOCTAP_LOG_EVENT_MAX) X(MALLOCTAP_LATENCY_BUCKETS)
    X(MALLOCTAP_LATENCY_MOVING)
    X(MALLOCTAP_LOCK_PARENT) X(MALLOCTAP_LOCK_CACHE) X(MALLOCTAP_LOCK_OVERSIZE)
#undef X
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct structure *find_structure(const char *name)
{
    for (size_t i = 0; i < COUNT(structures); i++) {
        if (strcmp(structures[i].name, name) == 0)
            return &structures[i];
    }
    fail_msg("FORMAT.md: no structure %s", name);
    return NULL;
}

static void check_field(struct structure *structure, const char *name, size_t offset, size_t size)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (strcmp(fields[i].structure, structure->name) != 0 || strcmp(fields[i].name, name) != 0)
            continue;
        if (fields[i].offset != offset || fields[i].size != size)
            fail_msg("FORMAT.md: %s.%s is at %zu, %zu bytes", structure->name, name,
                     fields[i].offset, fields[i].size);
        if (structure->documented != offset)
            fail_msg("FORMAT.md: a field of %s is missing before %s", structure->name, name);
        structure->documented = offset + size;
        return;
    }
    fail_msg("FORMAT.md: %s has no field %s", structure->name, name);
}

static void check_constant(const char *name, unsigned long long value)
{
    for (size_t i = 0; i < COUNT(constants); i++) {
        if (strcmp(constants[i].name, name) != 0)
            continue;
        if (constants[i].value != value)
            fail_msg("FORMAT.md: %s is %llu", name, constants[i].value);
        constants[i].documented = true;
        return;
    }
    fail_msg("FORMAT.md: no constant %s", name);
}

static void test_document(void **state)
{
    FILE *document = fopen(FORMAT_DOCUMENT, "r");
    char line[2000], name[80], value[80];
    size_t offset, size;
    struct structure *structure = NULL;
    assert_non_null(document);
    while (fgets(line, sizeof(line), document) != NULL) {
        if (sscanf(line, "#%*[#] `struct %79[a-z_]`", name) == 1) {
            structure = find_structure(name);
        } else if (sscanf(line, "| %zu | %zu | `%79[a-z_0-9]`", &offset, &size, name) == 3) {
            assert_non_null(structure);
            check_field(structure, name, offset, size);
        } else if (sscanf(line, "| `%79[A-Z_]` | %79[0-9a-fx] |", name, value) == 2) {
            check_constant(name, strtoull(value, NULL, 0));
        }
    }
    fclose(document);
    for (size_t i = 0; i < COUNT(structures); i++) {
        if (structures[i].documented != structures[i].size)
            fail_msg("FORMAT.md: the end of %s is missing", structures[i].name);
    }
    for (size_t i = 0; i < COUNT(constants); i++) {
        if (!constants[i].documented)
            fail_msg("FORMAT.md: %s is missing", constants[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_document)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
