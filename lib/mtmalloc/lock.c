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

#include "os.h"

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#else
#define relax() atomic_signal_fence(memory_order_seq_cst)
#endif

/* A lock is held for some ten nanoseconds, unless its holder lost its processor. */
#define SPINS 100
#define SLEEP_WITHOUT_BARRIER_NS 1000000

/* Looks before it writes, so that waiting does not slow the holder down. */
static bool try(struct mt_lock *lock)
{
    uint32_t counts;
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == MT_LOCK_HELD ||
        !mt_lock_try(lock, &counts))
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

static void sleep_until_taken(struct mt_lock *lock)
{
    for (bool taken = false; !taken;) {
        atomic_fetch_add_explicit(&lock->sleepers, 1, memory_order_relaxed);
        bool barrier = mt_os_barrier(), woken = false;
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == MT_LOCK_HELD)
            woken = mt_os_wait((const uint32_t *)&lock->state, MT_LOCK_HELD,
                               barrier ? 0 : SLEEP_WITHOUT_BARRIER_NS);
        /* Who wakes a thread takes it off the count, so that nobody wakes it again. */
        if (!woken)
            atomic_fetch_sub_explicit(&lock->sleepers, 1, memory_order_relaxed);
        taken = try(lock);
    }
}

void mt_lock_wait(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    uint64_t start = mt_os_clock_ns();
    if (!mt_lock_try_for_a_while(lock))
        sleep_until_taken(lock);
    uint64_t waited = mt_os_clock_ns() - start;

    /* Atomic because caches of one list and size share a row. */
    __atomic_fetch_add(&row->contended, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&row->wait_ns, waited, __ATOMIC_RELAXED);
    uint64_t longest = __atomic_load_n(&row->wait_max_ns, __ATOMIC_RELAXED);
    while (longest < waited &&
           !__atomic_compare_exchange_n(&row->wait_max_ns, &longest, waited, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

void mt_lock_wake(struct mt_lock *lock)
{
    if (mt_os_wake((const uint32_t *)&lock->state))
        atomic_fetch_sub_explicit(&lock->sleepers, 1, memory_order_relaxed);
}
