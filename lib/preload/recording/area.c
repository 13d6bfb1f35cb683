/* SPDX-License-Identifier: MIT */
#include "area.h"

#include "recording.h"
#include "tid.h"

#include <compiler.h>
#include <config/config.h>
#include <sys.h>
#include <wiped.h>

#include <linux/futex.h>
#include <string.h>
#include <time.h>

#define PIECES_MAX 96u
#define DOUBLE_UP_TO (8ull << 20)
#define PIECE_MAX (1ull << 30)
#define PIECE_ALIGN 65536ull /* a whole number of every kind of element */
#define RETRY_NS 1000000000ull
#define WAIT_NS 500000000ull

struct piece {
    char *memory;
    uint64_t start; /* offset in the area */
    uint64_t size;
};

/*
 * Invariants: pieces[i + 1].start == pieces[i].start + pieces[i].size; everything below `count` is
 * immutable; next <= end of the last piece + one reservation.
 */
struct area {
    uint32_t count; /* of pieces; released after the piece is filled in */
    uint32_t kind;
    uint64_t next;     /* offset of the next reservation */
    uint64_t limit;    /* 0: none */
    uint64_t retry_at; /* do not try to grow again before */
    struct piece pieces[PIECES_MAX];
};

#define AREA_KINDS (MALLOCTAP_EXTENT_LOCKS + 1)

static struct {
    uint32_t growing; /* tid of the thread that is extending the file; 0: none */
    uint32_t waiting; /* threads that wait for it */
    struct area areas[AREA_KINDS];
} WIPED state;

/* Size of the first extent: what a small program gets by with. */
static const uint32_t first_size[AREA_KINDS] = {
    [MALLOCTAP_EXTENT_THREADS] = 64u << 10, [MALLOCTAP_EXTENT_DEPOT] = 64u << 10,
    [MALLOCTAP_EXTENT_MODULES] = 32u << 10, [MALLOCTAP_EXTENT_CHUNKS] = 256u << 10,
    [MALLOCTAP_EXTENT_LATENCY] = 64u << 10, [MALLOCTAP_EXTENT_LOCKS] = 64u << 10,
};

struct area *area_of(enum malloctap_extent_kind kind)
{
    struct area *area = &state.areas[kind];
    if (area->kind != kind) /* a line that all threads read: not to be written each time */
        area->kind = kind;
    return area;
}

bool area_wipe_on_fork(void)
{
    return wipe_on_fork(&state, sizeof state);
}

void area_wipe(void)
{
    memset(&state, 0, sizeof state);
}

static uint64_t area_end(const struct area *area, uint32_t count)
{
    return count ? area->pieces[count - 1].start + area->pieces[count - 1].size : 0;
}

/* A few bytes are doubled; of many, an eighth is added: it may never be used. */
static uint64_t next_size(const struct area *area, uint64_t start)
{
    if (start < DOUBLE_UP_TO)
        return start ? start : first_size[area->kind];
    uint64_t size = ALIGN_UP(start / 8, PIECE_ALIGN);
    return size < DOUBLE_UP_TO ? DOUBLE_UP_TO : size > PIECE_MAX ? PIECE_MAX : size;
}

/* Add a piece to the area; when that cannot be had, try for less. */
static bool extend(struct area *area, uint64_t least)
{
    uint32_t count = area->count;
    uint64_t start = area_end(area, count);
    uint64_t size = next_size(area, start);
    size = size < least ? ALIGN_UP(least, PIECE_ALIGN) : size;
    if (area->limit && start + size > area->limit)
        size = area->limit > start ? (area->limit - start) & ~(uint64_t)(PIECE_ALIGN - 1) : 0;
    void *memory = NULL;
    while (count < PIECES_MAX && size >= least && size > 0) {
        memory = recording_add_extent((enum malloctap_extent_kind)area->kind, size);
        if (memory != NULL || size <= PIECE_ALIGN)
            break;
        size = ALIGN_UP(size / 2, PIECE_ALIGN);
    }
    if (memory == NULL) {
        if (!recording_was_wiped())
            area->retry_at = recording_now_ns() + RETRY_NS;
        return false;
    }
    area->pieces[count] = (struct piece){memory, start, size};
    /* Pairs with the acquire in piece_count(): who sees the count sees the piece. */
    __atomic_store_n(&area->count, count + 1, __ATOMIC_RELEASE);
    return true;
}

/*
 * One thread extends the file at a time. Others wait for it in the kernel: it holds no lock and
 * calls nobody back, so it will be done soon. Only a signal handler that interrupted it must not
 * wait, and nobody waits for ever: a thread may have been ended in there.
 */
static bool growing_begin(void)
{
    uint32_t self = tid_current(), owner = 0;
    uint64_t give_up = 0;
    /* Acquire pairs with the release in growing_end(): the file's end and directory are up to date.
     */
    while (!__atomic_compare_exchange_n(&state.growing, &owner, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        uint64_t now = recording_now_ns();
        if (give_up == 0)
            give_up = now + WAIT_NS;
        if (owner == self || now >= give_up)
            return false;
        __atomic_fetch_add(&state.waiting, 1, __ATOMIC_SEQ_CST);
        struct timespec limit = {0, (long)(give_up - now)};
        syscall(SYS_futex, &state.growing, FUTEX_WAIT_PRIVATE, owner, &limit, NULL, 0);
        __atomic_fetch_sub(&state.waiting, 1, __ATOMIC_RELAXED);
        owner = 0;
    }
    return true;
}

static void growing_end(void)
{
    /* Sequentially consistent with the waiter's count: either it is seen here, or the waiter finds
     * the word changed. */
    __atomic_store_n(&state.growing, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&state.waiting, __ATOMIC_SEQ_CST) != 0)
        syscall(SYS_futex, &state.growing, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void area_cut_short(void)
{
    if (__atomic_load_n(&state.growing, __ATOMIC_RELAXED) == tid_current())
        growing_end();
}

/* See to it that the area has more than the `seen` pieces. */
static bool grow(struct area *area, uint32_t seen, uint64_t least)
{
    uint64_t retry_at = __atomic_load_n(&area->retry_at, __ATOMIC_RELAXED);
    if (retry_at != 0 && recording_now_ns() < retry_at)
        return false;
    if (!growing_begin()) {
        area->retry_at = recording_now_ns() + RETRY_NS;
        return false;
    }
    bool grown = area->count != seen || extend(area, least);
    growing_end();
    return grown;
}

void area_begin(void)
{
    for (int kind = MALLOCTAP_EXTENT_THREADS; kind <= MALLOCTAP_EXTENT_CHUNKS; kind++)
        grow(area_of((enum malloctap_extent_kind)kind), 0, first_size[kind]);
}

static uint32_t piece_count(const struct area *area)
{
    return __atomic_load_n(&area->count, __ATOMIC_ACQUIRE);
}

/* The piece with this offset, as a copy that was read once: a fork in a signal handler may wipe the
 * area at any moment. False when there is none. */
static bool piece_of(const struct area *area, uint32_t count, uint64_t offset, struct piece *ret)
{
    for (uint32_t i = count; i-- > 0;) {
        ret->start = __atomic_load_n(&area->pieces[i].start, __ATOMIC_RELAXED);
        if (offset < ret->start)
            continue;
        ret->size = __atomic_load_n(&area->pieces[i].size, __ATOMIC_RELAXED);
        ret->memory = __atomic_load_n(&area->pieces[i].memory, __ATOMIC_RELAXED);
        return ret->memory != NULL && offset - ret->start < ret->size;
    }
    return false;
}

void *area_at(const struct area *area, uint64_t offset)
{
    struct piece piece;
    return piece_of(area, piece_count(area), offset, &piece) ? piece.memory + (offset - piece.start)
                                                             : NULL;
}

uint64_t area_used(const struct area *area)
{
    return __atomic_load_n(&area->next, __ATOMIC_RELAXED);
}

void area_limit(struct area *area, uint64_t limit)
{
    area->limit = limit;
}

void *area_reserve(struct area *area, uint64_t size, uint64_t *offset)
{
    uint64_t next = __atomic_load_n(&area->next, __ATOMIC_RELAXED);
    for (;;) {
        struct piece piece;
        uint32_t count = piece_count(area);
        if (!piece_of(area, count, next, &piece)) {
            if (!grow(area, count, size))
                return NULL;
            continue;
        }
        uint64_t piece_end = piece.start + piece.size;
        bool fits = piece_end - next >= size;
        uint64_t taken = fits ? next + size : piece_end;
        if (!__atomic_compare_exchange_n(&area->next, &next, taken, false, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            continue;
        if (!fits) {
            next = taken;
            continue;
        }
        bool runs_out = area_end(area, count) - taken < piece.size / 4;
        if (runs_out && __atomic_load_n(&state.growing, __ATOMIC_RELAXED) == 0)
            grow(area, count, first_size[area->kind]);
        *offset = next;
        return piece.memory + (next - piece.start);
    }
}

/* ---- what the stack side takes --------------------------------------------------------------- */

struct malloctap_stack *area_stack_alloc(uint32_t frames, uint32_t *id)
{
    struct area *depot = area_of(MALLOCTAP_EXTENT_DEPOT);
    uint64_t size = sizeof(struct malloctap_stack) + frames * sizeof(uint64_t);
    uint64_t offset;
    struct malloctap_stack *stack = area_reserve(depot, size, &offset);
    if (stack != NULL && offset == 0) /* id 0 means none: give the first place away */
        stack = area_reserve(depot, size, &offset);
    if (stack == NULL || offset / 8 > UINT32_MAX) {
        recording_lost(stacks_no_space, 1);
        return NULL;
    }
    *id = (uint32_t)(offset / 8);
    return stack;
}

const struct malloctap_stack *area_stack(uint32_t id)
{
    return area_at(area_of(MALLOCTAP_EXTENT_DEPOT), (uint64_t)id * 8);
}

struct malloctap_module *area_module_alloc(uint32_t *id)
{
    uint64_t offset;
    struct malloctap_module *module = NULL;
    if (area_used(area_of(MALLOCTAP_EXTENT_MODULES)) < 65535 * sizeof *module)
        module = area_reserve(area_of(MALLOCTAP_EXTENT_MODULES), sizeof *module, &offset);
    if (module == NULL) {
        recording_lost(modules_no_space, 1);
        return NULL;
    }
    *id = (uint32_t)(offset / sizeof *module) + 1;
    return module;
}

uint64_t area_ticks(void)
{
    return recording_ticks();
}

const char *area_executable(void)
{
    return recording_header()->executable;
}

const char *area_start_directory(void)
{
    return recording_start_directory();
}
