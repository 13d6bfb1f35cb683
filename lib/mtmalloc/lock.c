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
#define DOUBTS 20

/* Looks before it writes, so that waiting does not slow the holder down. */
static bool try(struct mt_lock *lock)
{
    uint64_t counts;
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

/*
 * A thread that took a lock says so an instruction later. Where a signal handler came in between,
 * and waits for its own thread, the holder stays unknown: after that many looks it is taken for
 * this thread. A mistake would cost little: see who calls mt_lock_acquire().
 */
static bool sleep_until_taken(struct mt_lock *lock, bool (*in_vain)(void))
{
    for (int doubts = 0; doubts < DOUBTS;) {
        bool unknown = atomic_load_explicit(&lock->holder, memory_order_relaxed) == 0;
        doubts = unknown ? doubts + 1 : 0;
        if (!mt_all_locks_disown_copied())
            sleep_while_held(lock, unknown || in_vain != NULL ? SLEEP_DOUBTING_NS : 0);
        if (try(lock))
            return true;
        if (in_vain != NULL && in_vain())
            return false;
    }
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

bool mt_lock_acquire_unless(struct mt_lock *lock, struct malloctap_lock_row *row,
                            bool (*in_vain)(void))
{
    if (try(lock))
        return true;
    if (mt_lock_is_mine(lock))
        return false;
    uint64_t start = mt_os_clock_ns();
    bool taken = mt_lock_try_for_a_while(lock) || sleep_until_taken(lock, in_vain);
    count_wait(row, mt_os_clock_ns() - start);
    return taken;
}

bool mt_lock_wait(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    return mt_thread.exclusive || mt_lock_acquire_unless(lock, row, NULL);
}

void mt_lock_wake(struct mt_lock *lock)
{
    if (mt_os_wake((const uint32_t *)&lock->state))
        atomic_fetch_sub_explicit(&lock->sleepers, 1, memory_order_relaxed);
}
