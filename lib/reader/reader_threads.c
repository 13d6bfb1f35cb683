/* SPDX-License-Identifier: MIT */
/*
 * reader_threads.c - the exact counters: of each thread, of the exited ones, of the process.
 *
 * A slot is in use when its state is not UNUSED, its `thread` not 0, and `thread` not the one that
 * exited.published says was folded last. That last rule is what makes totals exact at any
 * instruction of the writer: publishing is the one store that moves a thread's calls from its slot
 * into the exited totals, and what the writer does to the slot afterwards no longer counts.
 */
#include "reader_recording.h"

#include <string.h>

/* Tries to see something unchanged before and after it was read. One is enough but where threads
 * come and go faster than they can be read. */
#define TRIES_MAX 1000

static void add_words(void *to, const void *from, size_t size)
{
    uint64_t *sum = to;
    const uint64_t *term = from;
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        sum[i] += term[i];
}

void malloctap_counters_add(struct malloctap_counters *to, const struct malloctap_counters *from)
{
    static_assert(sizeof(*to) % sizeof(uint64_t) == 0, "counters are 64-bit words only");
    add_words(to, from, sizeof(*to));
}

uint64_t malloctap_counters_calls(const struct malloctap_counters *counters, enum malloctap_op op)
{
    if (op == MALLOCTAP_OP_FREE)
        return counters->frees;
    uint64_t calls = 0;
    for (size_t class = 0; class < MALLOCTAP_SIZE_CLASSES; class ++)
        calls += counters->calls[op][class];
    return calls;
}

/* ---- exited threads ------------------------------------------------------------------------ */

#define EXITED_OFFSET(field)                                                                       \
    (offsetof(struct malloctap_header, exited) + offsetof(struct malloctap_exited, field))

/* The totals of exited threads at one moment. */
struct exited {
    uint64_t published;
    uint64_t threads;
    struct malloctap_counters counters;
};

static bool read_published(const struct malloctap_recording *recording, uint64_t *ret)
{
    return reader_file_read(recording->file, EXITED_OFFSET(published), ret, sizeof(*ret));
}

static uint64_t folded_last(uint64_t published)
{
    return published >> 1;
}

static void changes_too_fast(const struct malloctap_recording *recording)
{
    reader_file_fail(recording->file,
                     "changes faster than it can be read (exited threads at offset %zu); read it "
                     "when the program has ended",
                     EXITED_OFFSET(published));
}

static bool read_exited(const struct malloctap_recording *recording, struct exited *ret)
{
    for (int try = 0; try < TRIES_MAX; try++) {
        uint64_t after;
        if (!read_published(recording, &ret->published))
            return false;
        size_t valid = ret->published & 1;
        reader_file_order(); /* the copy was complete when `published` was stored, with release */
        if (!reader_file_read(recording->file,
                              EXITED_OFFSET(threads) + valid * sizeof(ret->threads), &ret->threads,
                              sizeof(ret->threads)) ||
            !reader_file_read(recording->file, EXITED_OFFSET(copy) + valid * sizeof(ret->counters),
                              &ret->counters, sizeof(ret->counters)))
            return false;
        reader_file_order();
        if (!read_published(recording, &after))
            return false;
        if (after == ret->published)
            return true;
    }
    changes_too_fast(recording);
    return false;
}

uint64_t malloctap_recording_exited(const struct malloctap_recording *recording,
                                    struct malloctap_counters *ret)
{
    struct exited exited;
    if (!read_exited(recording, &exited)) {
        memset(ret, 0, sizeof(*ret));
        return 0;
    }
    *ret = exited.counters;
    return exited.threads;
}

/* ---- slots --------------------------------------------------------------------------------- */

/* What says whose a slot is: the fields before birth_ticks. */
struct slot_owner {
    uint32_t state;
    uint32_t tid;
    uint64_t thread;
};
static_assert(offsetof(struct malloctap_thread_slot, birth_ticks) == sizeof(struct slot_owner),
              "the owner is the beginning of a slot");

static bool same_owner(const struct slot_owner *a, const struct slot_owner *b)
{
    return a->thread == b->thread &&
           (a->state == MALLOCTAP_THREAD_UNUSED) == (b->state == MALLOCTAP_THREAD_UNUSED);
}

/* Read a slot in use as one thread left it. False: it is not in use. */
static bool read_slot(const struct malloctap_recording *recording, uint64_t offset,
                      struct malloctap_thread_slot *ret)
{
    for (int try = 0; try < TRIES_MAX; try++) {
        struct slot_owner before, after;
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_THREADS, offset, &before,
                              sizeof(before)) ||
            before.state == MALLOCTAP_THREAD_UNUSED || before.thread == 0)
            return false;
        reader_file_order();
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_THREADS, offset, ret, sizeof(*ret)))
            return false;
        reader_file_order();
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_THREADS, offset, &after, sizeof(after)))
            return false;
        if (same_owner(&before, &after)) {
            ret->thread = before.thread;
            ret->name[sizeof(ret->name) - 1] = '\0';
            return true;
        }
    }
    changes_too_fast(recording);
    return false;
}

static uint64_t slot_count(const struct malloctap_recording *recording)
{
    return reader_area_size(recording, MALLOCTAP_EXTENT_THREADS) / MALLOCTAP_THREAD_SLOT_SIZE;
}

bool malloctap_recording_next_thread(const struct malloctap_recording *recording,
                                     uint64_t *position, struct malloctap_thread_slot *ret)
{
    uint64_t count = slot_count(recording), published;
    while (*position < count) {
        uint64_t offset = (*position)++ * MALLOCTAP_THREAD_SLOT_SIZE;
        if (!read_slot(recording, offset, ret))
            continue;
        reader_file_order(); /* folded before it was read: then `published` says so by now */
        if (read_published(recording, &published) && folded_last(published) != ret->thread)
            return true;
    }
    return false;
}

/* ---- totals -------------------------------------------------------------------------------- */

static void add_slots(const struct malloctap_recording *recording, uint64_t folded,
                      struct malloctap_counters *sum)
{
    struct malloctap_thread_slot slot;
    uint64_t count = slot_count(recording);
    for (uint64_t i = 0; i < count; i++) {
        if (read_slot(recording, i * MALLOCTAP_THREAD_SLOT_SIZE, &slot) && slot.thread != folded)
            malloctap_counters_add(sum, &slot.counters);
    }
}

void malloctap_recording_totals(const struct malloctap_recording *recording,
                                struct malloctap_counters *ret)
{
    struct exited exited;
    for (int try = 0; try < TRIES_MAX; try++) {
        uint64_t after;
        memset(ret, 0, sizeof(*ret));
        if (!read_exited(recording, &exited))
            return;
        reader_file_order();
        if (!reader_file_read(recording->file, offsetof(struct malloctap_header, unslotted), ret,
                              sizeof(*ret)))
            return;
        malloctap_counters_add(ret, &exited.counters);
        add_slots(recording, folded_last(exited.published), ret);
        reader_file_order(); /* a fold meanwhile moved a thread past us, or counted it twice */
        if (!read_published(recording, &after) || after == exited.published)
            return;
    }
    changes_too_fast(recording);
}
