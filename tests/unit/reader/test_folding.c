/* SPDX-License-Identifier: MIT */
/*
 * Counters stay exact while the writer folds exited threads into the totals: read after each of its
 * stores, as when it was killed there, and with its stores in between the reads.
 *
 * For the latter the writer is a coroutine, and pread() is ours: it lets the writer make some
 * stores, then reads. So every interleaving is the same in each run, and none is left to the
 * scheduler.
 */
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 3

/* A recording mapped as the preload object maps it, and the writer at work on it. */
static struct {
    uint8_t *image;
    size_t size;
    struct malloctap_header *header;
    struct malloctap_thread_slot *slots[SLOTS];
    uint32_t stores_per_read; /* on average; 0: the writer rests */
    uint32_t random;          /* state of the generator that varies it */
    uint32_t budget;          /* stores before the writer is stopped again */
    ucontext_t writer, reader;
    char stack[64 << 10];
} live;

/* After each store of the writer: back to whoever let it run, if that was all it may do. */
static void stored(void)
{
    if (--live.budget == 0)
        swapcontext(&live.writer, &live.reader);
}

static void let_writer_store(uint32_t stores)
{
    live.budget = stores;
    if (stores > 0)
        swapcontext(&live.reader, &live.writer);
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    live.random = live.random * 1664525 + 1013904223;
    let_writer_store((uint32_t)((uint64_t)live.random * 2 * live.stores_per_read >> 32));
    return syscall(SYS_pread64, fd, buffer, size, offset);
}

/* Threads come in order, each makes as many calls as its number says, and is folded. */
static uint64_t *calls_of(struct malloctap_counters *counters)
{
    return &counters->calls[MALLOCTAP_OP_MALLOC][3];
}

static uint64_t calls_of_first(uint64_t threads)
{
    return threads * (threads + 1) / 2;
}

static void fold(struct malloctap_thread_slot *slot)
{
    struct malloctap_exited *exited = &live.header->exited;
    size_t from = exited->published & 1, to = !from;
    volatile uint64_t *sum = (volatile uint64_t *)&exited->copy[to];
    const uint64_t *before = (const uint64_t *)&exited->copy[from];
    const uint64_t *counters = (const uint64_t *)&slot->counters;
    for (size_t i = 0; i < sizeof(slot->counters) / sizeof(uint64_t); i++) {
        sum[i] = before[i] + counters[i];
        stored();
    }
    exited->threads[to] = exited->threads[from] + 1;
    stored();
    __atomic_store_n(&exited->published, slot->thread << 1 | to, __ATOMIC_RELEASE);
    stored();
    for (volatile uint64_t *word = (volatile uint64_t *)&slot->birth_ticks;
         word < (volatile uint64_t *)(slot + 1); word++) {
        *word = 0;
        stored();
    }
    __atomic_store_n(&slot->thread, 0, __ATOMIC_RELEASE);
    stored();
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_UNUSED, __ATOMIC_RELEASE);
    stored();
}

static void come(struct malloctap_thread_slot *slot, uint64_t thread)
{
    __atomic_store_n(&slot->thread, thread, __ATOMIC_RELEASE);
    stored();
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_LIVE, __ATOMIC_RELEASE);
    stored();
    __atomic_store_n(calls_of(&slot->counters), thread, __ATOMIC_RELAXED);
    stored();
}

static void writer_main(void)
{
    for (uint64_t thread = 1;; thread++) {
        struct malloctap_thread_slot *slot = live.slots[thread % SLOTS];
        if (slot->thread != 0)
            fold(slot);
        come(slot, thread);
    }
}

static int live_open(void **state)
{
    struct recording_builder *builder = recording_builder_create();
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct malloctap_thread_slot *slot = recording_builder_add_thread(builder, i, "");
        slot->state = MALLOCTAP_THREAD_UNUSED;
        slot->thread = 0;
    }
    free(recording_builder_image(builder, &live.size));
    *state = scratch_open(builder);

    int fd = open(scratch_path(), O_RDWR);
    live.image = mmap(NULL, live.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(live.image != MAP_FAILED);
    close(fd);
    live.header = (struct malloctap_header *)live.image;
    uint8_t *area = live.image + live.header->extents[0].offset;
    for (size_t i = 0; i < SLOTS; i++)
        live.slots[i] = (struct malloctap_thread_slot *)(area + i * MALLOCTAP_THREAD_SLOT_SIZE);

    getcontext(&live.writer);
    live.writer.uc_stack.ss_sp = live.stack;
    live.writer.uc_stack.ss_size = sizeof(live.stack);
    makecontext(&live.writer, writer_main, 0);
    return 0;
}

static int live_close(void **state)
{
    live.stores_per_read = 0;
    malloctap_recording_close(*state);
    munmap(live.image, live.size);
    return 0;
}

/* What has been counted by now: all threads but those that have not called yet. */
static uint64_t truth(void)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        if (*calls_of(&live.slots[i]->counters) > newest)
            newest = *calls_of(&live.slots[i]->counters);
    }
    return calls_of_first(newest);
}

static uint64_t total_calls(struct malloctap_recording *recording)
{
    struct malloctap_counters totals;
    malloctap_recording_totals(recording, &totals);
    return malloctap_counters_calls(&totals, MALLOCTAP_OP_MALLOC);
}

/* Killed after any of the first 6000 stores: not a call more or less. */
static void test_killed_at_every_store(void **state)
{
    struct malloctap_counters counters;
    for (uint32_t i = 0; i < 6000; i++) {
        let_writer_store(1);
        assert_int_equal(total_calls(*state), truth());
    }
    assert_true(malloctap_recording_exited(*state, &counters) > 5);
    assert_int_equal(malloctap_recording_check(*state, NULL), 0);
}

/* Read beside the writer: totals lie between the truth before and after. */
static void test_totals_beside_writer(void **state)
{
    for (uint32_t i = 0; i < 20000; i++) {
        live.stores_per_read = 1 + i % 30;
        uint64_t before = truth();
        uint64_t total = total_calls(*state);
        assert_true(before <= total && total <= truth());
    }
    assert_int_equal(malloctap_recording_check(*state, NULL), 0);
}

/* Also where whole folds fit between two reads, a row is of one thread and the exited totals of one
 * moment. */
static void test_rows_beside_writer(void **state)
{
    for (uint32_t i = 0; i < 5000; i++) {
        live.stores_per_read = 1 + i % 600;
        struct malloctap_thread_slot slot;
        for (uint64_t position = 0; malloctap_recording_next_thread(*state, &position, &slot);) {
            uint64_t calls = *calls_of(&slot.counters);
            assert_true(calls == 0 || calls == slot.thread);
        }
        live.stores_per_read = 1 + i % 200;
        struct malloctap_counters exited;
        uint64_t threads = malloctap_recording_exited(*state, &exited);
        assert_int_equal(*calls_of(&exited), calls_of_first(threads));
    }
    assert_int_equal(malloctap_recording_check(*state, NULL), 0);
}

/* A writer too fast for exact totals is reported, not endured. */
static void test_too_fast(void **state)
{
    struct malloctap_error error;
    live.stores_per_read = 700;
    total_calls(*state);
    live.stores_per_read = 0;
    assert_int_equal(malloctap_recording_check(*state, &error), -1);
    assert_non_null(strstr(error.text, ": changes faster than it can be read (exited threads at "
                                       "offset "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_at_every_store, live_open, live_close),
        cmocka_unit_test_setup_teardown(test_totals_beside_writer, live_open, live_close),
        cmocka_unit_test_setup_teardown(test_rows_beside_writer, live_open, live_close),
        cmocka_unit_test_setup_teardown(test_too_fast, live_open, live_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
