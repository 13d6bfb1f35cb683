/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "process.h"

#include <config/config.h>
#include <recording/area.h>
#include <recording/recording.h>
#include <recording/ring.h>
#include <thread/thread.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void read_header(const char *path, struct malloctap_header *ret)
{
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && pread(fd, ret, sizeof *ret, 0) == sizeof *ret);
    close(fd);
}

static void file_body(void)
{
    struct malloctap_header header;
    struct stat status;
    recording_open(false, false, "/lib/libc.so.6");
    CHECK(recording_in_file());
    CHECK(stat("x.mtap", &status) == 0 && (status.st_mode & 0777) == 0600);
    read_header("x.mtap", &header);
    CHECK(header.magic == MALLOCTAP_MAGIC && header.pid == (uint32_t)getpid());
    CHECK(strcmp(header.backend_object, "/lib/libc.so.6") == 0);
    CHECK(header.state == MALLOCTAP_STATE_RUNNING && header.end_ticks == 0);
    recording_finish(true);
    read_header("x.mtap", &header);
    CHECK(header.state == MALLOCTAP_STATE_FINISHED && header.end_ticks >= header.start_ticks);
    CHECK(header.peak_rss_bytes > 0);
}

static void a_recording_is_a_file_of_its_owner(void **state)
{
    (void)state;
    in_child(file_body);
}

static uint64_t header_ns(const struct malloctap_header *header, uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)(ticks - header->start_ticks) * header->clock_mult >>
                      header->clock_shift);
}

static void clock_body(void)
{
    struct malloctap_header header;
    uint64_t before = recording_now_ns();
    recording_open(false, false, "");
    uint64_t opened = recording_now_ns();
    read_header("x.mtap", &header);
    while (recording_now_ns() < opened + 1000000)
        ;
    uint64_t start = recording_now_ns();
    uint64_t ns = header_ns(&header, recording_ticks());
    uint64_t end = recording_now_ns();
    CHECK(ns + RECORDING_TICK_NS >= start - opened && ns <= end - before + RECORDING_TICK_NS);
}

static void the_header_tells_how_long_a_tick_is(void **state)
{
    (void)state;
    in_child(clock_body);
}

static void taken_body(void)
{
    char other[64];
    CHECK(symlink("/etc/passwd", "x.mtap") == 0);
    recording_open(false, false, "");
    snprintf(other, sizeof other, "x.%d.mtap", getpid());
    CHECK(recording_in_file() && access(other, R_OK) == 0);
}

static void a_name_that_is_taken_is_left_alone(void **state)
{
    (void)state;
    in_child(taken_body);
}

/* Some file systems decide on blocks only when they write them. */
static void sync_recording(const char *path)
{
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && fsync(fd) == 0);
    close(fd);
}

static void space_body(void)
{
    recording_open(false, false, "");
    uint32_t id, last = 0;
    for (uint32_t i = 0; i < 50000; i++) {
        struct malloctap_stack *stack = area_stack_alloc(i % 40 + 1, &id);
        CHECK(stack != NULL && id > last && area_stack(id) == stack);
        CHECK(stack->frame_count == 0 && stack->frames[i % 40] == 0);
        memset(stack, 0xff, sizeof *stack + (i % 40 + 1) * 8);
        last = id;
    }
    struct malloctap_header header;
    read_header("x.mtap", &header);
    uint64_t end = MALLOCTAP_HEADER_SIZE, in_use = MALLOCTAP_HEADER_SIZE;
    for (uint32_t i = 0; i < header.extent_count; i++) {
        CHECK(header.extents[i].kind != 0 && header.extents[i].offset >= end);
        end = header.extents[i].offset + header.extents[i].size;
        in_use += header.extents[i].size;
    }
    struct stat status;
    CHECK(stat("x.mtap", &status) == 0 && (uint64_t)status.st_size >= end);
    sync_recording("x.mtap");
    CHECK(stat("x.mtap", &status) == 0 && (uint64_t)status.st_blocks * 512 >= in_use);
}

static void space_is_zeroed_apart_and_on_disk(void **state)
{
    (void)state;
    in_child(space_body);
}

/* The calling thread, known from now on. */
static struct thread *claim(void)
{
    struct malloctap_thread_slot *slot;
    struct thread *thread = thread_claim(true, &slot);
    if (thread != NULL)
        thread_publish(thread, slot, LIMIT_NEVER);
    return thread;
}

static void append(struct thread *thread, uint64_t number)
{
    struct malloctap_freed record = {
        .head = {MALLOCTAP_RECORD_FREED, MALLOCTAP_OP_FREE, sizeof record, 0}, .ticks = number};
    CHECK(ring_append(&thread->ring, thread_storage.slot, &record.head, number));
}

/* 128 KiB are eight chunks: the newest records survive, the others are counted. */
static void ring_body(void)
{
    enum { RECORDS = 10000 };
    recording_open(false, false, "");
    struct thread *thread = claim();
    CHECK(thread != NULL && thread_current() == thread);
    for (uint64_t i = 0; i < RECORDS; i++)
        append(thread, i);
    struct area *chunks = area_of(MALLOCTAP_EXTENT_CHUNKS);
    uint64_t kept = 0, newest = 0;
    CHECK(area_used(chunks) == 128 * 1024);
    for (uint64_t at = 0; at < area_used(chunks); at += config.chunk) {
        const struct malloctap_chunk *chunk = area_at(chunks, at);
        const struct malloctap_freed *records = (const void *)(chunk + 1);
        kept += chunk->records;
        CHECK(chunk->committed == chunk->records * sizeof *records);
        for (uint32_t i = 1; i < chunk->records; i++)
            CHECK(records[i].ticks == records[i - 1].ticks + 1);
        if (records[chunk->records - 1].ticks > newest)
            newest = records[chunk->records - 1].ticks;
    }
    CHECK(newest == RECORDS - 1);
    CHECK(kept + recording_header()->lost.records_overwritten == RECORDS);
}

static void a_bounded_ring_keeps_the_newest(void **state)
{
    (void)state;
    in_child(ring_body);
}

/* Going past the limit without the check would end the process by SIGXFSZ. */
static void limit_body(void)
{
    struct rlimit limit = {300 * 1024, 300 * 1024};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    recording_open(false, false, "");
    uint32_t id;
    unsigned stored = 0;
    while (area_stack_alloc(64, &id) != NULL)
        stored++;
    CHECK(stored > 0);
    CHECK(recording_header()->lost.stacks_no_space == 1);
    CHECK(recording_header()->lost.extents_failed > 0);
}

static void a_file_size_limit_is_a_loss(void **state)
{
    (void)state;
    in_child(limit_body);
}

static void nowhere_body(void)
{
    config_read("out=/no/such/place/x.mtap,quiet=on", NULL);
    recording_open(false, false, "");
    CHECK(!recording_in_file());
    struct thread *thread = claim();
    CHECK(thread != NULL);
    append(thread, 1);
}

static void without_a_file_all_works_unseen(void **state)
{
    (void)state;
    in_child(nowhere_body);
}

static void wipe_on_fork_all(void)
{
    CHECK(recording_wipe_on_fork() && area_wipe_on_fork());
    CHECK(ring_wipe_on_fork() && thread_wipe_on_fork());
}

/* The child of a fork gets a recording of its own; its parent's file stays as it is, even when the
 * child writes through pointers that it kept. */
static void fork_body(void)
{
    wipe_on_fork_all();
    recording_open(false, false, "");
    struct thread *thread = claim();
    append(thread, 1);
    struct malloctap_thread_slot *slot = thread_storage.slot;
    slot->counters.frees = 17;
    pid_t child = fork();
    if (child == 0) {
        CHECK(thread_current()->limit == LIMIT_UNKNOWN);
        recording_open(true, false, "");
        slot->counters.frees = 99;
        CHECK(claim() != NULL);
        append(thread_current(), 2);
        char own[64];
        struct malloctap_header header;
        snprintf(own, sizeof own, "x.%d.mtap", getpid());
        read_header(own, &header);
        CHECK(header.pid == (uint32_t)getpid());
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(slot->counters.frees == 17 && thread->ring.chunk->records == 1);
}

static void a_fork_child_never_writes_to_its_parents(void **state)
{
    (void)state;
    in_child(fork_body);
}

static void *claim_and_count(void *unused)
{
    struct thread *thread = claim();
    CHECK(thread != NULL);
    count_alloc(&thread_storage.slot->counters, MALLOCTAP_OP_MALLOC, 10);
    thread_leave(thread);
    return NULL;
}

/* Far more threads than have rows: old ones are folded, none is forgotten. */
static void threads_body(void)
{
    size_class_prepare();
    enum { THREADS = 3000 };
    recording_open(false, false, "");
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, claim_and_count, NULL) == 0);
        pthread_join(thread, NULL);
    }
    const struct malloctap_exited *exited = &recording_header()->exited;
    const struct malloctap_counters *folded = &exited->copy[exited->published & 1];
    uint64_t calls = folded->calls[MALLOCTAP_OP_MALLOC][4];
    uint64_t rows = area_used(area_of(MALLOCTAP_EXTENT_THREADS)) / MALLOCTAP_THREAD_SLOT_SIZE;
    CHECK(exited->threads[exited->published & 1] == calls && calls > 0);
    for (uint64_t i = 0; i < rows; i++) {
        const struct malloctap_thread_slot *slot =
            area_at(area_of(MALLOCTAP_EXTENT_THREADS), i * MALLOCTAP_THREAD_SLOT_SIZE);
        calls += slot->counters.calls[MALLOCTAP_OP_MALLOC][4];
    }
    CHECK(calls == THREADS);
    CHECK(rows < 1200);
}

static void folded_threads_are_all_counted(void **state)
{
    (void)state;
    in_child(threads_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_is_a_file_of_its_owner),
        cmocka_unit_test(the_header_tells_how_long_a_tick_is),
        cmocka_unit_test(a_name_that_is_taken_is_left_alone),
        cmocka_unit_test(space_is_zeroed_apart_and_on_disk),
        cmocka_unit_test(a_bounded_ring_keeps_the_newest),
        cmocka_unit_test(a_file_size_limit_is_a_loss),
        cmocka_unit_test(without_a_file_all_works_unseen),
        cmocka_unit_test(a_fork_child_never_writes_to_its_parents),
        cmocka_unit_test(folded_threads_are_all_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
