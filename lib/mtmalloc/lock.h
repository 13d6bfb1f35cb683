/* SPDX-License-Identifier: MIT */
/*
 * lock.h - the allocator's lock, and the order in which locks are taken.
 *
 * Ranks: a thread that holds a lock takes only locks further down.
 *   1. the parent lock of a list (several only in fork and statistics: by number of the list)
 *   2. the lock of a cache (several only there: list by list, size by size, newest cache first)
 *   3. the oversize lock, which also guards the regions that all memory is carved from
 *   4. the lock of totals in the statistics, under a cache's lock only: so nobody holds one when
 *      all of rank 1 and 2 are held
 *
 * Taking a free lock is one atomic exchange, releasing it a plain store: a sleeper makes up for the
 * missing barrier (see lock.c). The two also count, at no cost: the state of a free lock says for
 * what it was taken since somebody last asked, and passes through the hands of the holder.
 *
 *   state:  63             40  31          16 15           1   0
 *          +-----------------+---+--------------+--------------+------+
 *          | bytes asked for | 0 | returned     | taken        | 0    |  free
 *          | 0               | 0 | 0            | 0            | 1    |  held
 *          +-----------------+---+--------------+--------------+------+
 *
 * All zero is a free lock. The bytes are a signed sum: those of buffers taken less those of
 * buffers returned; no chunk has 2^23. The other counts of a cache begin so high that their top
 * bits are set when it is time to publish: so one test of the state tells all that is not usual.
 *
 * A signal handler that calls the allocator may have interrupted it anywhere, and must not wait for
 * its own thread. So a thread notes which locks it holds or is about to take.
 */
#ifndef MTMALLOC_LOCK_H
#define MTMALLOC_LOCK_H

#include <compiler.h>
#include <malloctap/recording.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MT_NOTES 8u /* more than a call and the handlers that interrupt it hold */

/* What the allocator knows of a thread. All zero until its first call. */
struct mt_thread {
    struct mt_list *list; /* chosen by the first call that allocates */
    /*
     * noted[0 ... depth - 1] are locks that are held, or were free a moment ago. A handler comes
     * back to the depth that it found. One that does not return leaves its notes, and its locks.
     */
    uint32_t depth;
    uint32_t all_locks; /* depth of mt_all_locks_acquire() */
    uint32_t streams;   /* how often it took libc's lock of all streams, to fork */
    bool exclusive;     /* it holds every lock there is */
    struct mt_lock *noted[MT_NOTES];
};
extern _Thread_local struct mt_thread mt_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Points to what is not 0 while libc knows of one thread only, where it tells: once prepared. */
extern const char *_Atomic mt_single_threaded __attribute__((visibility("hidden")));
static always_inline bool mt_lock_alone(void)
{
    return *atomic_load_explicit(&mt_single_threaded, memory_order_relaxed) != 0;
}
void mt_lock_prepare(void);

enum mt_rank { MT_RANK_PARENT = 1, MT_RANK_CACHE, MT_RANK_OVERSIZE, MT_RANK_TOTALS };

struct mt_lock {
    _Atomic uint64_t state;
    uint64_t counts;                     /* what it was, while held by mt_lock_acquire() */
    struct mt_thread *_Atomic among_all; /* held by mt_all_locks_acquire() of this thread */
    _Atomic uint32_t sleepers;           /* threads asleep on `state`, or about to be */
    uint32_t rank;                       /* enum mt_rank */
};

#define MT_LOCK_HELD 1u
#define MT_LOCK_TAKEN 2u /* to add for one buffer */
#define MT_LOCK_TAKEN_MASK 0xfffeu
#define MT_LOCK_RETURNED 0x10000u
#define MT_LOCK_BYTES_SHIFT 40
#define MT_LOCK_DUE 0x80008000u /* either count */

/* The lock is held by this thread, or, very rarely, was about to be taken by it: a signal handler
 * that interrupted it there would wait for ever. */
bool mt_lock_is_mine(const struct mt_lock *lock);

/*
 * Wait for the lock, take it, and add the wait to the row. False: it is this thread's. Also false
 * after a while where the holder may be waiting for this thread: a signal handler interrupted it
 * while it held a lock that is taken after this one.
 */
bool mt_lock_wait(struct mt_lock *lock, struct malloctap_lock_row *row);
void mt_lock_wake(struct mt_lock *lock);

/* As mt_lock_acquire(), but gives up when the holder does not seem to run. */
bool mt_lock_try_for_a_while(struct mt_lock *lock);

/* By a thread that holds all locks: add it to them, if it is new. */
void mt_lock_add_to_all(struct mt_lock *lock);

/* Note, at `depth`, a lock that is about to be taken. The fences are for a signal handler, which
 * sees what this thread has done in the order of the program: room first, or the handler's own note
 * could be where this one goes. */
static always_inline void mt_lock_note(struct mt_lock *lock, uint32_t depth)
{
    mt_thread.depth = depth + 1;
    atomic_signal_fence(memory_order_seq_cst);
    mt_thread.noted[depth % MT_NOTES] = lock;
    atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Take the lock if it is free, and return what its state was; MT_LOCK_HELD: it was held.
 *
 * While libc knows of one thread only, nobody else can be between the load and the store: a second
 * thread can only be started by this one, outside of these functions, and starting it orders what
 * came before. libc's own malloc relies on the same.
 */
static always_inline uint64_t mt_lock_exchange(struct mt_lock *lock)
{
    if (mt_lock_alone()) {
        uint64_t state = atomic_load_explicit(&lock->state, memory_order_relaxed);
        atomic_store_explicit(&lock->state, MT_LOCK_HELD, memory_order_relaxed);
        return state;
    }
    /* Acquire: pairs with the release in mt_lock_open(). */
    return atomic_exchange_explicit(&lock->state, MT_LOCK_HELD, memory_order_acquire);
}

/* Take a free lock, with a note at `depth`: the thread's. Its holder sets that back to `depth`. */
static always_inline bool mt_lock_try(struct mt_lock *lock, uint32_t depth, uint64_t *counts)
{
    mt_lock_note(lock, depth);
    *counts = mt_lock_exchange(lock);
    if (likely(*counts != MT_LOCK_HELD))
        return true;
    mt_thread.depth = depth;
    return false;
}

/* Release; true: there are sleepers, and the caller has to call mt_lock_wake(). */
static always_inline bool mt_lock_open(struct mt_lock *lock, uint64_t counts)
{
    /* Release: pairs with the acquire above; what was done under the lock is seen by the next. */
    atomic_store_explicit(&lock->state, counts, memory_order_release);
    /* The processor may do this load before others see the store; the compiler may not. */
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&lock->sleepers, memory_order_relaxed) != 0;
}

/* The same for those who are in less of a hurry, and whose counts are in the lock. False: to a
 * signal handler, see mt_lock_wait(). */
static inline bool mt_lock_acquire(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    uint64_t counts;
    if (unlikely(!mt_lock_try(lock, mt_thread.depth, &counts)))
        return mt_lock_wait(lock, row);
    lock->counts = counts;
    return true;
}

static inline void mt_lock_release(struct mt_lock *lock)
{
    bool sleepers = mt_lock_open(lock, lock->counts);
    mt_thread.depth--;
    if (unlikely(sleepers))
        mt_lock_wake(lock);
}

/* The same for locks of rank 1 to 3: they are held already by a thread that holds all. */
static inline bool mt_heap_lock(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    if (likely(!mt_thread.exclusive))
        return mt_lock_acquire(lock, row);
    mt_lock_add_to_all(lock);
    return true;
}

static inline void mt_heap_unlock(struct mt_lock *lock)
{
    if (likely(!mt_thread.exclusive))
        mt_lock_release(lock);
}

#endif
