/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <probe/latency.h>
#include <recording/area.h>
#include <recording/recording.h>
#include <recording/ring.h>
#include <recording/tid.h>
#include <sys.h>
#include <wiped.h>

#include <string.h>

/* So many threads keep their rows; from then on dead ones are folded and their slots reused. */
#define ROWS_KEPT 1024u
#define SLAB_THREADS 256u
#define SLABS_MAX 16384u
/* How many slots a new thread looks at for one to reuse. */
#define REUSE_TRIES 16u

const struct thread thread_none;

_Thread_local struct thread_storage thread_storage __attribute__((tls_model("initial-exec")));

static struct {
    uint32_t count;   /* indices handed out */
    uint32_t hand;    /* where the search for a dead thread goes on */
    uint32_t folding; /* a thread is folding a dead one's counters */
    uint64_t last;    /* `thread` of the newest thread */
    struct thread *slabs[SLABS_MAX];
} WIPED table;

/* Of this process and its children. */
static bool kernel_wipes;

bool thread_wipe_on_fork(void)
{
    kernel_wipes = wipe_on_fork(&table, sizeof table);
    return kernel_wipes;
}

void thread_wipe(void)
{
    for (uint32_t i = 0; i < SLABS_MAX && table.slabs[i] != NULL; i++)
        memset(table.slabs[i], 0, SLAB_THREADS * sizeof(struct thread));
    memset(&table, 0, sizeof table);
}

/* The state with this index; its slab is made if need be. */
static struct thread *state_at(uint32_t index)
{
    if (index / SLAB_THREADS >= SLABS_MAX)
        return NULL;
    struct thread **slab = &table.slabs[index / SLAB_THREADS];
    struct thread *states = __atomic_load_n(slab, __ATOMIC_ACQUIRE);
    if (states == NULL) {
        const size_t size = SLAB_THREADS * sizeof(struct thread);
        struct thread *fresh = sys_map_anonymous(size);
        if (fresh == NULL)
            return NULL;
        if (!wipe_on_fork(fresh, size) && kernel_wipes) {
            sys_unmap(fresh, size);
            return NULL;
        }
        /* Release pairs with the acquire above: who sees the slab sees it zeroed. */
        if (__atomic_compare_exchange_n(slab, &states, fresh, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            states = fresh;
        else
            sys_unmap(fresh, size);
    }
    return &states[index % SLAB_THREADS];
}

static struct malloctap_thread_slot *slot_at(uint32_t index)
{
    return area_at(area_of(MALLOCTAP_EXTENT_THREADS), (uint64_t)index * MALLOCTAP_THREAD_SLOT_SIZE);
}

/* Not every thread announces its end: its last calls may come after its keys' destructors. */
static bool is_gone(const struct malloctap_thread_slot *slot)
{
    if (slot->tid == tid_current())
        return true;
    pid_t pid = (pid_t)recording_header()->pid;
    return syscall(SYS_tgkill, pid, (pid_t)slot->tid, 0) == -1 && errno == ESRCH;
}

/*
 * Add a dead thread's counters to the exited totals and empty its slot. At every instant, also if
 * the process is killed in between, a reader that follows recording.h counts them exactly once:
 * either from the slot, or from the copy of the totals that `published` names together with this
 * thread.
 */
static void fold(struct malloctap_thread_slot *slot)
{
    struct malloctap_exited *exited = &recording_header()->exited;
    unsigned current = exited->published & 1, other = !current;
    const uint64_t *from = (const uint64_t *)&slot->counters;
    const uint64_t *base = (const uint64_t *)&exited->copy[current];
    uint64_t *to = (uint64_t *)&exited->copy[other];
    for (size_t i = 0; i < sizeof slot->counters / sizeof *from; i++)
        to[i] = base[i] + from[i];
    exited->threads[other] = exited->threads[current] + 1;
    __atomic_store_n(&exited->published, slot->thread << 1 | other, __ATOMIC_RELEASE);
    /* A reader that sees anything below has seen `published` change. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memset(&slot->counters, 0, sizeof slot->counters);
    __atomic_store_n(&slot->thread, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_UNUSED, __ATOMIC_RELEASE);
}

/* A state whose thread is dead, emptied; NULL when none is found at once. */
static struct thread *reuse(struct malloctap_thread_slot **slot)
{
    if (__atomic_load_n(&table.count, __ATOMIC_RELAXED) < ROWS_KEPT)
        return NULL;
    /* Acquire and release: one thread folds at a time, on what the one before left. */
    if (__atomic_exchange_n(&table.folding, 1, __ATOMIC_ACQUIRE))
        return NULL;
    struct thread *found = NULL;
    uint32_t count = __atomic_load_n(&table.count, __ATOMIC_RELAXED);
    for (uint32_t tries = 0; tries < REUSE_TRIES && found == NULL; tries++) {
        uint32_t index = table.hand++ % count;
        struct thread *thread = state_at(index);
        *slot = slot_at(index);
        if (thread == NULL || *slot == NULL || !thread->used || !is_gone(*slot))
            continue;
        ring_release(&thread->ring);
        latency_fold(*slot);
        fold(*slot);
        struct stack_memory *kept = thread->stack_memory;
        memset(thread, 0, sizeof *thread);
        thread->stack_memory = kept;
        found = thread;
    }
    __atomic_store_n(&table.folding, 0, __ATOMIC_RELEASE);
    return found;
}

static struct thread *add(struct malloctap_thread_slot **slot)
{
    uint64_t offset;
    *slot = area_reserve(area_of(MALLOCTAP_EXTENT_THREADS), MALLOCTAP_THREAD_SLOT_SIZE, &offset);
    if (*slot == NULL)
        return NULL;
    __atomic_fetch_add(&table.count, 1, __ATOMIC_RELAXED);
    return state_at((uint32_t)(offset / MALLOCTAP_THREAD_SLOT_SIZE));
}

static void slot_begin(struct malloctap_thread_slot *slot)
{
    slot->tid = tid_current();
    slot->birth_ticks = recording_ticks();
    slot->death_ticks = 0;
    slot->cpu_ns = 0;
    memset(slot->name, 0, sizeof slot->name);
    uint64_t number = __atomic_add_fetch(&table.last, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->thread, number, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_LIVE, __ATOMIC_RELEASE);
}

struct thread *thread_claim(bool may_ask, struct malloctap_thread_slot **slot)
{
    struct thread *thread = may_ask ? reuse(slot) : NULL;
    if (thread == NULL)
        thread = add(slot);
    if (thread == NULL)
        return NULL;
    thread->limit = LIMIT_SLOW;
    thread->used = 1;
    slot_begin(*slot);
    return thread;
}

void thread_publish(struct thread *thread, struct malloctap_thread_slot *slot, uint64_t limit)
{
    thread_storage.slot = slot;
    thread_storage.distance = (uintptr_t)thread - (uintptr_t)&thread_none;
    thread_change_limit(thread, LIMIT_SLOW, limit);
}

static void slot_end(struct malloctap_thread_slot *slot)
{
    slot->death_ticks = recording_ticks();
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_EXITED, __ATOMIC_RELEASE);
}

void thread_leave(struct thread *thread)
{
    ring_release(&thread->ring);
    slot_end(thread_storage.slot);
}

void thread_doubt(struct thread *thread)
{
    uint64_t limit = thread->limit;
    if (thread->live_limit == 0) {
        thread->live_limit = limit;
        thread_change_limit(thread, limit, LIMIT_SLOW);
    }
    slot_end(thread_storage.slot);
}

void thread_lives_on(struct thread *thread)
{
    struct malloctap_thread_slot *slot = thread_storage.slot;
    uint64_t limit = thread->live_limit;
    thread->live_limit = 0;
    slot->death_ticks = 0;
    __atomic_store_n(&slot->state, MALLOCTAP_THREAD_LIVE, __ATOMIC_RELEASE);
    thread_change_limit(thread, LIMIT_SLOW, limit);
}
