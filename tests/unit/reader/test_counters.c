/* SPDX-License-Identifier: MIT */
/* The counters are exact: also wherever in a fold the process was killed, and while it folds. */
#include "scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void count_calls(struct malloctap_counters *counters, uint64_t mallocs, uint64_t frees)
{
    counters->calls[MALLOCTAP_OP_MALLOC][7] += mallocs;
    counters->bytes[MALLOCTAP_OP_MALLOC] += mallocs * 100;
    counters->frees += frees;
}

static void test_calls(void **state)
{
    struct malloctap_counters counters = {0}, sum = {0};
    counters.calls[MALLOCTAP_OP_CALLOC][0] = 1;
    counters.calls[MALLOCTAP_OP_CALLOC][64] = 2;
    counters.failed[MALLOCTAP_OP_ALIGNED] = 5;
    counters.frees = 3;
    counters.uncounted = 4;
    malloctap_counters_add(&sum, &counters);
    malloctap_counters_add(&sum, &counters);
    assert_int_equal(malloctap_counters_calls(&sum, MALLOCTAP_OP_CALLOC), 6);
    assert_int_equal(malloctap_counters_calls(&sum, MALLOCTAP_OP_MALLOC), 0);
    assert_int_equal(malloctap_counters_calls(&sum, MALLOCTAP_OP_FREE), 6);
    assert_int_equal(sum.failed[MALLOCTAP_OP_ALIGNED], 10);
    assert_int_equal(sum.uncounted, 8);
}

static void test_threads(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_split(builder, MALLOCTAP_EXTENT_THREADS, 4096);
    count_calls(&recording_builder_add_thread(builder, 11, "first")->counters, 10, 1);
    recording_builder_add_thread(builder, 12, "unused")->state = MALLOCTAP_THREAD_UNUSED;
    recording_builder_add_thread(builder, 13, "claimed")->thread = 0;
    struct malloctap_thread_slot *gone = recording_builder_add_thread(builder, 14, "gone");
    count_calls(&gone->counters, 1000, 1000);
    struct malloctap_thread_slot *last = recording_builder_add_thread(builder, 15, "");
    memset(last->name, 'n', sizeof(last->name));
    last->state = MALLOCTAP_THREAD_EXITED;
    count_calls(&last->counters, 20, 2);

    struct malloctap_header *header = recording_builder_header(builder);
    header->exited.published = gone->thread << 1 | 1;
    header->exited.threads[1] = 7;
    count_calls(&header->exited.copy[0], 12345, 12345);
    count_calls(&header->exited.copy[1], 4000, 400);
    count_calls(&header->unslotted, 50000, 5000);

    struct malloctap_recording *recording = scratch_open(builder);
    struct malloctap_thread_slot slot;
    uint64_t position = 0;
    assert_true(malloctap_recording_next_thread(recording, &position, &slot));
    assert_int_equal(slot.tid, 11);
    assert_string_equal(slot.name, "first");
    assert_true(malloctap_recording_next_thread(recording, &position, &slot));
    assert_int_equal(slot.tid, 15);
    assert_string_equal(slot.name, "nnnnnnnnnnnnnnn");
    assert_false(malloctap_recording_next_thread(recording, &position, &slot));

    struct malloctap_counters counters;
    assert_int_equal(malloctap_recording_exited(recording, &counters), 7);
    assert_int_equal(malloctap_counters_calls(&counters, MALLOCTAP_OP_MALLOC), 4000);
    malloctap_recording_totals(recording, &counters);
    assert_int_equal(malloctap_counters_calls(&counters, MALLOCTAP_OP_MALLOC), 54030);
    assert_int_equal(malloctap_counters_calls(&counters, MALLOCTAP_OP_FREE), 5403);
    assert_int_equal(counters.bytes[MALLOCTAP_OP_MALLOC], 5403000);
    malloctap_recording_close(recording);
}

/* ---- a writer that folds ------------------------------------------------------------------- */

/* A recording mapped as the preload object maps it. */
struct live_file {
    uint8_t *image;
    size_t size;
    struct malloctap_header *header;
    struct malloctap_thread_slot *slots[3];
};

static void live_open(struct live_file *live)
{
    struct recording_builder *builder = recording_builder_create();
    recording_builder_header(builder)->state = MALLOCTAP_STATE_RUNNING;
    recording_builder_header(builder)->pid = (uint32_t)getpid();
    for (uint32_t i = 0; i < 3; i++)
        count_calls(&recording_builder_add_thread(builder, 100 + i, "")->counters, 100, 10);
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    free(recording_builder_image(builder, &live->size));
    recording_builder_destroy(builder);

    int fd = open(scratch_path(), O_RDWR);
    live->image = mmap(NULL, live->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(live->image != MAP_FAILED);
    close(fd);
    live->header = (struct malloctap_header *)live->image;
    for (size_t i = 0; i < 3; i++)
        live->slots[i] =
            (struct malloctap_thread_slot *)(live->image + live->header->extents[0].offset +
                                             i * MALLOCTAP_THREAD_SLOT_SIZE);
}

static void live_close(struct live_file *live)
{
    munmap(live->image, live->size);
}

/* The writer's protocol, one store at a time; `at_each_store` is called after each. */
static void fold(struct live_file *live, struct malloctap_thread_slot *slot, uint64_t next_thread,
                 void (*at_each_store)(void *), void *argument)
{
    struct malloctap_exited *exited = &live->header->exited;
    size_t from = exited->published & 1, to = !from;
    volatile uint64_t *sum = (volatile uint64_t *)&exited->copy[to];
    const uint64_t *before = (const uint64_t *)&exited->copy[from];
    const uint64_t *counters = (const uint64_t *)&slot->counters;
    for (size_t i = 0; i < sizeof(slot->counters) / 8; i++) {
        sum[i] = before[i] + counters[i];
        at_each_store(argument);
    }
    exited->threads[to] = exited->threads[from] + 1;
    at_each_store(argument);
    __atomic_store_n(&exited->published, slot->thread << 1 | to, __ATOMIC_RELEASE);
    at_each_store(argument);
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_UNUSED, __ATOMIC_RELEASE);
    at_each_store(argument);
    for (volatile uint64_t *word = (volatile uint64_t *)&slot->birth_ticks;
         word < (volatile uint64_t *)(slot + 1); word++) {
        *word = 0;
        at_each_store(argument);
    }
    __atomic_store_n(&slot->thread, next_thread, __ATOMIC_RELEASE);
    at_each_store(argument);
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_LIVE, __ATOMIC_RELEASE);
    at_each_store(argument);
}

static void expect_total_of_three(void *argument)
{
    struct malloctap_counters totals;
    malloctap_recording_totals(argument, &totals);
    assert_int_equal(malloctap_counters_calls(&totals, MALLOCTAP_OP_MALLOC), 300);
    assert_int_equal(totals.frees, 30);
    assert_int_equal(totals.bytes[MALLOCTAP_OP_MALLOC], 30000);
}

/* Killed after any store of a fold, then of a second one: not a call more or less. */
static void test_totals_at_every_store(void **state)
{
    struct live_file live;
    live_open(&live);
    struct malloctap_recording *recording = scratch_reopen();
    expect_total_of_three(recording);
    fold(&live, live.slots[1], 4, expect_total_of_three, recording);
    fold(&live, live.slots[0], 5, expect_total_of_three, recording);
    fold(&live, live.slots[1], 6, expect_total_of_three, recording);
    struct malloctap_counters counters;
    assert_int_equal(malloctap_recording_exited(recording, &counters), 3);
    assert_int_equal(malloctap_recording_check(recording, NULL), 0);
    malloctap_recording_close(recording);
    live_close(&live);
}

static void nothing(void *argument)
{
}

struct folder {
    struct live_file live;
    atomic_bool stop;
    _Atomic uint64_t folds;
};

/* Threads that make 100 calls each, exit and are folded, without end. */
static void *fold_on(void *argument)
{
    struct folder *folder = argument;
    while (!atomic_load(&folder->stop)) {
        uint64_t folds = atomic_load(&folder->folds);
        struct malloctap_thread_slot *slot = folder->live.slots[folds % 3];
        fold(&folder->live, slot, 4 + folds, nothing, NULL);
        volatile uint64_t *calls = &slot->counters.calls[MALLOCTAP_OP_MALLOC][7];
        for (int i = 0; i < 100; i++)
            *calls = *calls + 1;
        atomic_fetch_add(&folder->folds, 1);
        usleep(1);
    }
    return NULL;
}

/* Read beside a writer that folds all the time, totals only grow, and by no more than was called.
 */
static void test_totals_while_folding(void **state)
{
    struct folder folder = {0};
    live_open(&folder.live);
    struct malloctap_recording *recording = scratch_reopen();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fold_on, &folder), 0);
    uint64_t last = 0;
    while (atomic_load(&folder.folds) < 5000) {
        struct malloctap_counters totals;
        malloctap_recording_totals(recording, &totals);
        uint64_t calls = malloctap_counters_calls(&totals, MALLOCTAP_OP_MALLOC);
        assert_true(calls >= last);
        last = calls;
    }
    atomic_store(&folder.stop, true);
    pthread_join(thread, NULL);
    struct malloctap_counters totals;
    malloctap_recording_totals(recording, &totals);
    assert_int_equal(malloctap_counters_calls(&totals, MALLOCTAP_OP_MALLOC),
                     300 + folder.folds * 100);
    assert_true(last <= 300 + folder.folds * 100);
    assert_int_equal(malloctap_recording_check(recording, NULL), 0);
    malloctap_recording_close(recording);
    live_close(&folder.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_totals_at_every_store),
        cmocka_unit_test(test_totals_while_folding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
