/* SPDX-License-Identifier: MIT */
/* Recordings that change under the reader: growing, reused, truncated, overwritten, left behind. */
#include "scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A recording of this very process, unfinished, with `records` one tick apart from 1001 on. */
static struct recording_builder *running(uint64_t records)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    header->state = MALLOCTAP_STATE_RUNNING;
    header->pid = (uint32_t)getpid();
    header->end_ticks = 0;
    recording_builder_add_thread(builder, header->pid, "main");
    for (uint64_t i = 1; i <= records; i++)
        recording_builder_add_alloc(builder, 1,
                                    (struct malloctap_sample){.ticks = 1000 + i, .weight = 1});
    return builder;
}

static uint64_t count_records(struct malloctap_recording *recording)
{
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    uint64_t count = 0;
    assert_int_equal(malloctap_cursor_open(recording, &cursor, NULL), 0);
    while (malloctap_cursor_next(cursor, &event, NULL) > 0)
        count++;
    malloctap_cursor_close(cursor);
    return count;
}

static void test_refresh_sees_growth(void **state)
{
    struct recording_builder *builder = running(RECORDING_BUILDER_CHUNK_SAMPLES);
    struct malloctap_recording *recording;
    recording_builder_split(builder, MALLOCTAP_EXTENT_CHUNKS, RECORDING_BUILDER_CHUNK_SIZE);
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    recording = scratch_reopen();
    assert_int_equal(count_records(recording), RECORDING_BUILDER_CHUNK_SAMPLES);

    recording_builder_add_alloc(builder, 1, (struct malloctap_sample){.ticks = 2000, .weight = 1});
    recording_builder_header(builder)->lost.extents_failed = 3;
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    recording_builder_destroy(builder);
    assert_int_equal(count_records(recording),
                     RECORDING_BUILDER_CHUNK_SAMPLES); /* the new chunk is in a new extent */
    assert_int_equal(malloctap_recording_refresh(recording, NULL), 0);
    assert_int_equal(count_records(recording), RECORDING_BUILDER_CHUNK_SAMPLES + 1);
    assert_int_equal(malloctap_recording_header(recording)->lost.extents_failed, 3);
    malloctap_recording_close(recording);
}

static void test_refresh_of_another_recording(void **state)
{
    struct recording_builder *builder = running(1);
    struct malloctap_error error;
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    struct malloctap_recording *recording = scratch_reopen();
    recording_builder_header(builder)->start_ticks++;
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    recording_builder_destroy(builder);
    assert_int_equal(malloctap_recording_refresh(recording, &error), -1);
    scratch_expect_error(&error, "overwritten while it was read (header at offset 0 changed); open "
                                 "it again");
    assert_int_equal(malloctap_recording_header(recording)->start_ticks,
                     RECORDING_BUILDER_START_TICKS);
    malloctap_recording_close(recording);
}

static void test_refresh_with_moved_extents(void **state)
{
    struct recording_builder *builder = running(200);
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    struct malloctap_recording *recording = scratch_reopen();
    recording_builder_split(builder, MALLOCTAP_EXTENT_CHUNKS, RECORDING_BUILDER_CHUNK_SIZE);
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    recording_builder_destroy(builder);
    assert_int_equal(malloctap_recording_refresh(recording, NULL), -1);
    assert_int_equal(count_records(recording), 200);
    malloctap_recording_close(recording);
}

/* Someone truncates the file while it is open: an error, never a signal. */
static void test_truncated_under_its_feet(void **state)
{
    struct recording_builder *builder = running(200);
    uint64_t frame = 1;
    uint32_t stack = recording_builder_add_stack(builder, &frame, 1, 0);
    recording_builder_add_module(builder, "/bin/x", 1, 2, 0);
    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    struct malloctap_error error;
    assert_int_equal(malloctap_cursor_open(recording, &cursor, NULL), 0);
    assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    assert_int_equal(truncate(scratch_path(), 100), 0);

    for (size_t i = 1; i < RECORDING_BUILDER_CHUNK_SAMPLES;
         i++) /* the rest of the chunk was copied */
        assert_int_equal(malloctap_cursor_next(cursor, &event, NULL), 1);
    static const char text[] = "truncated while it was read (ends before offset 49216); copy the "
                               "whole recording again";
    assert_int_equal(malloctap_cursor_next(cursor, &event, &error), -1);
    scratch_expect_error(&error, text);
    assert_int_equal(malloctap_cursor_next(cursor, &event, &error), 0);
    malloctap_cursor_close(cursor);

    struct malloctap_thread_slot slot;
    struct malloctap_counters counters;
    struct malloctap_frames frames;
    struct malloctap_module module;
    struct malloctap_lock_row row;
    uint64_t position = 0;
    assert_false(malloctap_recording_next_thread(recording, &position, &slot));
    assert_int_equal(malloctap_recording_exited(recording, &counters), 0);
    malloctap_recording_totals(recording, &counters);
    assert_false(malloctap_recording_stack(recording, stack, &frames));
    assert_false(malloctap_recording_module(recording, 1, &module));
    assert_int_equal(malloctap_recording_module_count(recording), 0);
    position = 0;
    assert_false(malloctap_recording_next_lock(recording, &position, &row));
    assert_int_equal(count_records(recording), 0);
    assert_int_equal(malloctap_recording_check(recording, &error), -1);
    scratch_expect_error(&error, text); /* the first failure, not the last */
    assert_int_equal(malloctap_recording_refresh(recording, &error), -1);
    scratch_expect_error(&error, "truncated at 100 bytes, the header needs 32768; copy the whole "
                                 "recording again");
    malloctap_recording_close(recording);
}

/* ---- a ring that is reused while it is read ------------------------------------------------ */

struct ring {
    uint8_t *chunks;
    size_t count;
    atomic_bool stop;
};

/* Fill chunk after chunk, as its owner would: the record says in which claim it was written. */
static void *reuse(void *argument)
{
    struct ring *ring = argument;
    for (uint64_t sequence = ring->count + 1; !atomic_load(&ring->stop); sequence++) {
        struct malloctap_chunk *chunk =
            (struct malloctap_chunk *)(ring->chunks +
                                       sequence % ring->count * RECORDING_BUILDER_CHUNK_SIZE);
        struct malloctap_sample *records = (struct malloctap_sample *)(chunk + 1);
        __atomic_store_n(&chunk->sequence, 0, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        chunk->thread = sequence;
        chunk->committed = 0;
        __atomic_store_n(&chunk->sequence, sequence, __ATOMIC_RELEASE);
        for (uint32_t i = 0; i < RECORDING_BUILDER_CHUNK_SAMPLES; i++) {
            records[i] = (struct malloctap_sample){
                .head = {.kind = MALLOCTAP_RECORD_ALLOC, .length = sizeof(*records)},
                .ticks = sequence,
                .address = i,
                .weight = 1};
            __atomic_store_n(&chunk->committed, (i + 1) * sizeof(*records), __ATOMIC_RELEASE);
        }
    }
    return NULL;
}

static void test_reused_while_read(void **state)
{
    struct recording_builder *builder = running(RECORDING_BUILDER_CHUNK_SAMPLES * 8);
    size_t size;
    free(recording_builder_image(builder, &size));
    struct malloctap_recording *recording = scratch_open(builder);
    int fd = open(scratch_path(), O_RDWR);
    uint8_t *image = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(image != MAP_FAILED);
    close(fd);
    struct ring ring = {.chunks = image + ((struct malloctap_header *)image)->extents[1].offset,
                        .count = 8};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reuse, &ring), 0);
    uint64_t whole = 0;
    for (int i = 0; i < 2000 || whole == 0; i++) {
        struct malloctap_cursor *cursor;
        struct malloctap_event event;
        struct malloctap_error error;
        uint64_t claim = 0, expected = 0;
        int result;
        assert_int_equal(malloctap_cursor_open(recording, &cursor, NULL), 0);
        while ((result = malloctap_cursor_next(cursor, &event, &error)) > 0) {
            const struct malloctap_sample *sample = (const struct malloctap_sample *)event.record;
            if (event.thread > 1 && event.thread != claim) { /* a chunk that was reused */
                assert_true(event.thread > claim);
                claim = event.thread;
                expected = 0;
            }
            if (event.thread > 1) {
                assert_int_equal(sample->ticks, claim);
                assert_int_equal(sample->address, expected++);
                whole++;
            }
        }
        if (result < 0)
            fail_msg("%s", error.text);
        malloctap_cursor_close(cursor);
    }
    atomic_store(&ring.stop, true);
    pthread_join(thread, NULL);
    malloctap_recording_close(recording);
    munmap(image, size);
}

/* ---- who writes it, and for how long ------------------------------------------------------- */

static void test_finished_is_not_orphaned(void **state)
{
    struct malloctap_recording *recording = scratch_open(recording_builder_create());
    assert_false(malloctap_recording_orphaned(recording));
    assert_int_equal(malloctap_recording_duration_ns(recording), 1000000000);
    malloctap_recording_close(recording);
}

/* A live process of that number is not the writer unless it has the file mapped. */
static void test_writer_is_who_maps_it(void **state)
{
    struct recording_builder *builder = running(100);
    recording_builder_header(builder)->start_realtime_ns = (uint64_t)time(NULL) * 1000000000u;
    struct malloctap_recording *recording = scratch_open(builder);
    assert_true(malloctap_recording_orphaned(recording));
    assert_int_equal(malloctap_recording_duration_ns(recording), 100);

    int fd = open(scratch_path(), O_RDWR);
    uint64_t seen = RECORDING_BUILDER_START_TICKS + 700;
    assert_true(pwrite(fd, &seen, sizeof seen, offsetof(struct malloctap_header, end_ticks)) > 0);
    assert_int_equal(malloctap_recording_refresh(recording, NULL), 0);
    assert_int_equal(malloctap_recording_duration_ns(recording), 700);
    void *image = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    assert_false(malloctap_recording_orphaned(recording));
    assert_true(malloctap_recording_duration_ns(recording) < 60 * 1000000000ULL);
    munmap(image, 4096);
    malloctap_recording_close(recording);
}

static void test_dead_writer(void **state)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    struct recording_builder *builder = running(0);
    recording_builder_header(builder)->pid = (uint32_t)child;
    struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, 1, "last");
    slot->birth_ticks = 5000;
    slot->death_ticks = 9000;
    struct malloctap_recording *recording = scratch_open(builder);
    assert_true(malloctap_recording_orphaned(recording));
    assert_int_equal(malloctap_recording_duration_ns(recording), 8000);
    malloctap_recording_close(recording);

    const uint32_t nobody[] = {0, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        builder = running(0);
        recording_builder_header(builder)->pid = nobody[i];
        recording = scratch_open(builder);
        assert_true(malloctap_recording_orphaned(recording));
        malloctap_recording_close(recording);
    }
}

/* A sealed chunk says how late its last record is; one that was still open is read. */
static void test_end_of_a_killed_log(void **state)
{
    struct recording_builder *builder = running(0);
    recording_builder_header(builder)->pid = UINT32_MAX; /* of no process */
    struct recording_builder_call call = {.op = MALLOCTAP_OP_MALLOC, .ticks = 3000, .address = 8};
    recording_builder_add_call(builder, 1, &call);
    call = (struct recording_builder_call){
        .op = MALLOCTAP_OP_REALLOC, .ticks = 4000, .duration = 500, .old = 8, .address = 16};
    recording_builder_add_call(builder, 2, &call);
    recording_builder_seal(builder, 1);
    struct malloctap_recording *recording = scratch_open(builder);
    assert_int_equal(malloctap_recording_duration_ns(recording), 3500);
    assert_int_equal(malloctap_recording_duration_ns(recording), 3500);
    malloctap_recording_close(recording);

    builder = running(0);
    recording_builder_header(builder)->pid = UINT32_MAX;
    recording_builder_add_call(builder, 2, &call);
    recording_builder_seal(builder, 2);
    recording = scratch_open(builder);
    assert_int_equal(malloctap_recording_duration_ns(recording), 3500);
    malloctap_recording_close(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_sees_growth),
        cmocka_unit_test(test_refresh_of_another_recording),
        cmocka_unit_test(test_refresh_with_moved_extents),
        cmocka_unit_test(test_truncated_under_its_feet),
        cmocka_unit_test(test_reused_while_read),
        cmocka_unit_test(test_finished_is_not_orphaned),
        cmocka_unit_test(test_writer_is_who_maps_it),
        cmocka_unit_test(test_dead_writer),
        cmocka_unit_test(test_end_of_a_killed_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
