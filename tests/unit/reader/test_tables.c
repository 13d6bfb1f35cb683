/* SPDX-License-Identifier: MIT */
/* Stacks, modules, locks and latencies. */
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_stacks(void **state)
{
    enum { STACKS = 2000 };
    static uint32_t ids[STACKS];
    struct recording_builder *builder = recording_builder_create();
    uint64_t frames[MALLOCTAP_STACK_FRAMES_MAX];
    for (uint32_t i = 0; i < STACKS; i++) {
        uint32_t count = i % 20 + 1;
        for (uint32_t f = 0; f < count; f++)
            frames[f] = recording_builder_frame(1, i * 1000 + f);
        ids[i] = recording_builder_add_stack(builder, frames, count, i % 3);
    }
    struct malloctap_recording *recording = scratch_open(builder);
    static struct malloctap_frames first[STACKS];
    for (uint32_t i = 0; i < STACKS; i++) {
        assert_true(malloctap_recording_stack(recording, ids[i], &first[i]));
        assert_int_equal(first[i].count, i % 20 + 1);
        assert_int_equal(first[i].flags, i % 3);
    }
    for (uint32_t i = 0; i < STACKS; i++) { /* what was handed out remains, and is found again */
        struct malloctap_frames again;
        assert_true(malloctap_recording_stack(recording, ids[i], &again));
        assert_ptr_equal(again.frames, first[i].frames);
        assert_int_equal(MALLOCTAP_FRAME_MODULE(again.frames[0]), 1);
        assert_int_equal(MALLOCTAP_FRAME_OFFSET(again.frames[i % 20]), i * 1000 + i % 20);
    }
    malloctap_recording_close(recording);
}

static void test_no_such_stack(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    uint64_t frames[MALLOCTAP_STACK_FRAMES_MAX] = {0};
    uint32_t deepest = recording_builder_add_stack(builder, frames, MALLOCTAP_STACK_FRAMES_MAX, 0);
    size_t size;
    uint8_t *image = recording_builder_image(builder, &size);
    const struct malloctap_header *header = (const struct malloctap_header *)image;
    uint32_t *area = (uint32_t *)(image + header->extents[0].offset);
    uint32_t last = 4096 / 8 - 1;
    area[2 * 400] = MALLOCTAP_STACK_FRAMES_MAX + 1; /* too deep */
    area[2 * 401] = UINT32_MAX;
    area[2 * 500] = 100; /* beyond the area */
    area[2 * last] = 1;
    scratch_write(image, size);
    free(image);
    recording_builder_destroy(builder);

    struct malloctap_recording *recording = scratch_reopen();
    struct malloctap_frames stack;
    assert_true(malloctap_recording_stack(recording, deepest, &stack));
    assert_int_equal(stack.count, MALLOCTAP_STACK_FRAMES_MAX);
    const uint32_t none[] = {0, 300, 400, 401, 500, last, last + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(malloctap_recording_stack(recording, none[i], &stack));
    assert_int_equal(malloctap_recording_check(recording, NULL), 0);
    malloctap_recording_close(recording);
}

/* Stacks that overlap cannot make the reader use more memory than the file is large. */
static void test_overlapping_stacks(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    uint64_t frames[MALLOCTAP_STACK_FRAMES_MAX];
    for (size_t i = 0; i < MALLOCTAP_STACK_FRAMES_MAX; i++)
        frames[i] = 200; /* as the head of a stack: 200 frames */
    recording_builder_add_stack(builder, frames, MALLOCTAP_STACK_FRAMES_MAX, 0);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_frames stack;
    int found = 0;
    for (uint32_t id = 1; id < 200; id++)
        found += malloctap_recording_stack(recording, id, &stack);
    assert_in_range(found, 1, 2);
    malloctap_recording_close(recording);
}

static void test_no_stacks(void **state)
{
    struct malloctap_recording *recording = scratch_open(recording_builder_create());
    struct malloctap_frames stack;
    assert_false(malloctap_recording_stack(recording, 1, &stack));
    malloctap_recording_close(recording);
}

static void test_modules(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_split(builder, MALLOCTAP_EXTENT_MODULES, 8192);
    for (uint32_t i = 1; i <= 50; i++)
        recording_builder_add_module(builder, "/lib/x.so", i * 0x10000, i * 0x10000 + 0x1000, i);
    recording_builder_module(builder, 7)->committed = 0;
    recording_builder_module(builder, 50)->committed = 0;
    struct malloctap_module *odd = recording_builder_module(builder, 8);
    memset(odd->path, 'p', sizeof(odd->path));
    odd->build_id_size = 33;
    struct malloctap_recording *recording = scratch_open(builder);

    struct malloctap_module module;
    assert_int_equal(malloctap_recording_module_count(recording), 49);
    assert_false(malloctap_recording_module(recording, 0, &module));
    assert_false(malloctap_recording_module(recording, 7, &module));
    assert_false(malloctap_recording_module(recording, 50, &module));
    assert_false(malloctap_recording_module(recording, 53, &module));
    assert_false(malloctap_recording_module(recording, UINT32_MAX, &module));
    assert_true(malloctap_recording_module(recording, 49, &module));
    assert_int_equal(module.start, 49 * 0x10000);
    assert_string_equal(module.path, "/lib/x.so");
    assert_true(malloctap_recording_module(recording, 8, &module));
    assert_int_equal(strlen(module.path), sizeof(module.path) - 1);
    assert_int_equal(module.build_id_size, 0);
    malloctap_recording_close(recording);
}

/* Rows not in use lie between those that are. */
static void test_locks(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    for (uint32_t i = 0; i < 5; i++) {
        struct malloctap_lock_row *row = recording_builder_add_lock(builder);
        row->kind = i % 2 == 0 ? MALLOCTAP_LOCK_CACHE : 0;
        row->contended = 100 + i;
    }
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_lock_row row;
    uint64_t position = 0;
    for (uint32_t i = 0; i < 5; i += 2) {
        assert_true(malloctap_recording_next_lock(recording, &position, &row));
        assert_int_equal(row.kind, MALLOCTAP_LOCK_CACHE);
        assert_int_equal(row.contended, 100 + i);
    }
    assert_false(malloctap_recording_next_lock(recording, &position, &row));
    malloctap_recording_close(recording);

    recording = scratch_open(recording_builder_create());
    position = 0;
    assert_false(malloctap_recording_next_lock(recording, &position, &row));
    malloctap_recording_close(recording);
}

/* ---- latencies ----------------------------------------------------------------------------- */

static void expect_latencies(struct malloctap_recording *recording, const uint64_t *threads,
                             size_t count)
{
    struct malloctap_latency row;
    uint64_t position = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(malloctap_recording_next_latency(recording, &position, &row));
        assert_int_equal(row.thread, threads[i]);
        assert_true(row.ops[MALLOCTAP_OP_FREE].buckets[7] == (double)threads[i] / 2);
    }
    assert_false(malloctap_recording_next_latency(recording, &position, &row));
}

static struct recording_builder *with_latencies(void)
{
    struct recording_builder *builder = recording_builder_create();
    for (uint64_t thread = 1; thread <= 5; thread++) {
        struct malloctap_latency *row = recording_builder_add_latency(builder);
        if (thread == 3)
            continue; /* not in use */
        row->thread = thread;
        row->ops[MALLOCTAP_OP_FREE].buckets[7] = (double)thread / 2;
    }
    /* Of a dead thread, on its way to the row of all such. */
    struct malloctap_latency *moving = recording_builder_add_latency(builder);
    moving->thread = MALLOCTAP_LATENCY_MOVING;
    moving->ops[MALLOCTAP_OP_FREE].buckets[7] = 1;
    return builder;
}

static void test_latencies(void **state)
{
    static const uint64_t threads[] = {1, 2, 4, 5};
    struct malloctap_recording *recording = scratch_open(with_latencies());
    expect_latencies(recording, threads, 4);
    malloctap_recording_close(recording);

    struct recording_builder *builder = with_latencies();
    recording_builder_split(builder, MALLOCTAP_EXTENT_LATENCY, 8 * 4096); /* two rows and a rest */
    recording = scratch_open(builder);
    assert_int_equal(malloctap_recording_header(recording)->extent_count, 3);
    expect_latencies(recording, threads, 4);
    malloctap_recording_close(recording);

    recording = scratch_open(recording_builder_create());
    expect_latencies(recording, NULL, 0);
    malloctap_recording_close(recording);
}

static struct malloctap_recording *with_latencies_but(size_t offset, double value)
{
    struct recording_builder *builder = with_latencies();
    size_t size;
    uint8_t *image = recording_builder_image(builder, &size);
    uint64_t area = ((const struct malloctap_header *)image)->extents[0].offset;
    memcpy(image + area + sizeof(struct malloctap_latency) + offset, &value, sizeof(value));
    scratch_write(image, size);
    free(image);
    recording_builder_destroy(builder);
    return scratch_reopen();
}

/* A row with what is no amount of anything is left out, and told of at the end. */
static void test_damaged_latencies(void **state)
{
    static const uint64_t threads[] = {1, 4, 5};
    const size_t places[] = {offsetof(struct malloctap_latency, ops[1].weight[2]),
                             offsetof(struct malloctap_latency, ops[2].time_ns),
                             offsetof(struct malloctap_latency, ops[3].wait_ns),
                             offsetof(struct malloctap_latency, ops[4].buckets[319])};
    const double values[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < 4 * 3; i++) {
        struct malloctap_error error;
        struct malloctap_recording *recording = with_latencies_but(places[i / 3], values[i % 3]);
        expect_latencies(recording, threads, 3);
        assert_int_equal(malloctap_recording_check(recording, &error), -1);
        scratch_expect_error(&error, "damaged latencies (row 1); they are left out");
        malloctap_recording_close(recording);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stacks),    cmocka_unit_test(test_no_such_stack),
        cmocka_unit_test(test_no_stacks), cmocka_unit_test(test_overlapping_stacks),
        cmocka_unit_test(test_modules),   cmocka_unit_test(test_locks),
        cmocka_unit_test(test_latencies), cmocka_unit_test(test_damaged_latencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
