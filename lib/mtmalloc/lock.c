/* SPDX-License-Identifier: MIT */
/*
 * lock.c - waiting for a lock.
 *
 * The releasing thread stores `state` and then loads `sleepers`, without a barrier in between. A
 * thread about to sleep stores `sleepers` and then loads `state`, with a barrier on all processors
 * in between. Either the release came before that barrier, and the sleeper finds the lock free; or
 * the releasing thread's load comes after it, and finds a sleeper to wake. Where there is no such
 * barrier, a sleeper looks again by itself after a millisecond.
 */
#include "lock.h"

#include "all_locks.h"
#include "os.h"

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#pragma weak __libc_single_threaded
#else
extern char __libc_single_threaded __attribute__((weak));
#endif

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#else
#define relax() atomic_signal_fence(memory_order_seq_cst)
#endif

/* A lock is held for some ten nanoseconds, unless its holder lost its processor. */
#define SPINS 100
#define SLEEP_WITHOUT_BARRIER_NS 1000000
/* Between looks at what may never end by itself. */
#define SLEEP_DOUBTING_NS 10000000

static const char never;
const char *_Atomic mt_single_threaded = &never;

/* Weak, and looked at by way of a pointer: a library that another program's libc has to load must
 * not insist on it. */
void mt_lock_prepare(void)
{
    if (&__libc_single_threaded != NULL)
        atomic_store_explicit(&mt_single_threaded, &__libc_single_threaded, memory_order_relaxed);
}

bool mt_lock_is_mine(const struct mt_lock *lock)
{
    for (uint32_t i = 0; i < MT_NOTES && i < mt_thread.depth; i++)
        if (mt_thread.noted[i] == lock)
            return true;
    return atomic_load_explicit(&lock->among_all, memory_order_relaxed) == &mt_thread;
}

void mt_lock_add_to_all(struct mt_lock *lock)
{
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == MT_LOCK_HELD)
        return;
    lock->counts = atomic_load_explicit(&lock->state, memory_order_relaxed);
    atomic_store_explicit(&lock->among_all, &mt_thread, memory_order_relaxed);
    atomic_store_explicit(&lock->state, MT_LOCK_HELD, memory_order_relaxed);
}

/* Looks before it writes, so that waiting does not slow the holder down. */
static bool try(struct mt_lock *lock)
{
    uint64_t counts;
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == MT_LOCK_HELD ||
        !mt_lock_try(lock, mt_thread.depth, &counts))
        return false;
    lock->counts = counts;
    return true;
}

bool mt_lock_try_for_a_while(struct mt_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        relax();
        if (try(lock))
            return true;
    }
    return false;
}

static void sleep_while_held(struct mt_lock *lock, uint64_t limit_ns)
{
    atomic_fetch_add_explicit(&lock->sleepers, 1, memory_order_relaxed);
    if (!mt_os_barrier() && (limit_ns == 0 || limit_ns > SLEEP_WITHOUT_BARRIER_NS))
        limit_ns = SLEEP_WITHOUT_BARRIER_NS;
    bool woken = atomic_load_explicit(&lock->state, memory_order_relaxed) == MT_LOCK_HELD &&
                 mt_os_wait((const uint32_t *)&lock->state, MT_LOCK_HELD, limit_ns);
    /* Who wakes a thread takes it off the count, so that nobody wakes it again. */
    if (!woken)
        atomic_fetch_sub_explicit(&lock->sleepers, 1, memory_order_relaxed);
}

/* Only a handler's thread holds a lock of this rank or a later one, as the order of ranks holds but
 * for it. */
static bool may_be_waited_for(uint32_t rank)
{
    for (uint32_t i = 0; i < MT_NOTES && i < mt_thread.depth; i++)
        if (mt_thread.noted[i]->rank >= rank)
            return true;
    return false;
}

static bool sleep_until_taken(struct mt_lock *lock)
{
    bool doubtful = may_be_waited_for(lock->rank);
    do {
        if (!mt_all_locks_copied())
            sleep_while_held(lock, doubtful ? SLEEP_DOUBTING_NS : 0);
        if (try(lock))
            return true;
    } while (!doubtful);
    return false;
}

static void count_wait(struct malloctap_lock_row *row, uint64_t waited)
{
    /* Atomic because caches of one list and size share a row. */
    __atomic_fetch_add(&row->contended, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&row->wait_ns, waited, __ATOMIC_RELAXED);
    uint64_t longest = __atomic_load_n(&row->wait_max_ns, __ATOMIC_RELAXED);
    while (longest < waited &&
           !__atomic_compare_exchange_n(&row->wait_max_ns, &longest, waited, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

bool mt_lock_wait(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    if (mt_lock_is_mine(lock))
        return false;
    uint64_t start = mt_os_clock_ns();
    bool taken = mt_lock_try_for_a_while(lock) || sleep_until_taken(lock);
    count_wait(row, mt_os_clock_ns() - start);
    return taken;
}

void mt_lock_wake(struct mt_lock *lock)
{
    if (mt_os_wake((const uint32_t *)&lock->state))
        atomic_fetch_sub_explicit(&lock->sleepers, 1, memory_order_relaxed);
}
