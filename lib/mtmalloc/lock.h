/* SPDX-License-Identifier: MIT */
/*
 * lock.h - the allocator's lock, and the order in which locks are taken.
 *
 * Ranks: a thread that holds a lock takes only locks further down.
 *   1. the parent lock of a list (several only in fork and statistics: by number of the list)
 *   2. the lock of a cache (several only there: list by list, size by size, newest cache first)
 *   3. the oversize lock, which also guards the regions that all memory is carved from
 *   4. the lock of totals in the statistics (under a cache's or parent lock only, so nobody holds
 * one when all of rank 1 and 2 are held)
 *
 * Taking a free lock is one atomic exchange, releasing it a plain store: a sleeper makes up for the
 * missing barrier (see lock.c). The two also count, at no cost: the state of a free lock says for
 * what it was taken since somebody last asked, and passes through the hands of the holder.
 *
 *   state:  31            16 15             1   0
 *          +----------------+----------------+------+
 *          | returned       | taken          | 0    |  free
 *          | 0              | 0              | 1    |  held
 *          +----------------+----------------+------+
 *
 * All zero is a free lock.
 */
#ifndef MTMALLOC_LOCK_H
#define MTMALLOC_LOCK_H

#include <compiler.h>
#include <malloctap/recording.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
enum { __libc_single_threaded = 0 };
#endif

struct mt_lock {
    _Atomic uint32_t state;
    _Atomic uint32_t sleepers; /* threads asleep on `state`, or about to be */
    uint32_t counts;           /* what the state was, while held by mt_lock_acquire() */
};

#define MT_LOCK_HELD 1u
#define MT_LOCK_TAKEN 2u /* to add for one buffer */
#define MT_LOCK_TAKEN_MASK 0xfffeu
#define MT_LOCK_RETURNED 0x10000u
#define MT_LOCK_RETURNED_MASK 0xffff0000u

/* Wait for the lock, take it, and add the wait to the row. */
void mt_lock_wait(struct mt_lock *lock, struct malloctap_lock_row *row);
void mt_lock_wake(struct mt_lock *lock);

/* As mt_lock_acquire(), but gives up when the holder does not seem to run. */
bool mt_lock_try_for_a_while(struct mt_lock *lock);

/*
 * While libc knows of one thread only, nobody else can be between the load and the store: a second
 * thread can only be started by this one, outside of these functions, and starting it orders what
 * came before. libc's own malloc relies on the same.
 */
static always_inline bool mt_lock_try(struct mt_lock *lock, uint32_t *counts)
{
    if (__libc_single_threaded) {
        *counts = atomic_load_explicit(&lock->state, memory_order_relaxed);
        if (unlikely(*counts == MT_LOCK_HELD))
            return false;
        atomic_store_explicit(&lock->state, MT_LOCK_HELD, memory_order_relaxed);
        return true;
    }
    /* Acquire: pairs with the release in mt_lock_open(). */
    *counts = atomic_exchange_explicit(&lock->state, MT_LOCK_HELD, memory_order_acquire);
    return *counts != MT_LOCK_HELD;
}

/* Release; true: there are sleepers, and the caller has to call mt_lock_wake(). */
static always_inline bool mt_lock_open(struct mt_lock *lock, uint32_t counts)
{
    /* Release: pairs with the acquire above; what was done under the lock is seen by the next. */
    atomic_store_explicit(&lock->state, counts, memory_order_release);
    /* The processor may do this load before others see the store; the compiler may not. */
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&lock->sleepers, memory_order_relaxed) != 0;
}

/* The same for those who are in less of a hurry, and whose counts are in the lock. */
static inline void mt_lock_acquire(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    uint32_t counts;
    if (likely(mt_lock_try(lock, &counts)))
        lock->counts = counts;
    else
        mt_lock_wait(lock, row);
}

static inline void mt_lock_release(struct mt_lock *lock)
{
    if (unlikely(mt_lock_open(lock, lock->counts)))
        mt_lock_wake(lock);
}

/* In a fork child: free, whoever held it, and forgotten by sleepers who are not there. */
static inline void mt_lock_reset(struct mt_lock *lock)
{
    atomic_store_explicit(&lock->sleepers, 0, memory_order_relaxed);
    atomic_store_explicit(&lock->state, 0, memory_order_release);
}

#endif
