/* SPDX-License-Identifier: MIT */
/*
 * thread.h - what the fast path knows of the calling thread.
 *
 * Thread-local storage holds only the distance from `thread_none` to this thread's state, so it is
 * valid when zero: before the first call a thread sees thread_none, whose threshold is zero, and
 * every call takes the slow path. The states live in memory that a fork wipes (MADV_WIPEONFORK), so
 * in a child, however it was made, a thread that had a state sees zeros and takes the slow path
 * too. One comparison covers all of it.
 */
#ifndef PRELOAD_THREAD_H
#define PRELOAD_THREAD_H

#include <compiler.h>
#include <counter.h>
#include <malloctap/recording.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is the recorder at work on this thread? If so, calls that come are a signal handler's, or its
 * own. */
enum thread_busy {
    THREAD_IDLE,
    THREAD_BUSY,      /* calls are a handler's: counted */
    THREAD_OWN_CALLS, /* calls are most likely the recorder's: counted as `uncounted` */
};

/* Invariant: units_left == 0, or slot is this thread's slot in this process's recording. */
struct thread {
    uint64_t units_left; /* until the next sample; 0: the slow path decides */
    uint64_t call_units; /* cost of a call, beside its bytes */
    struct malloctap_thread_slot *slot;
    struct malloctap_chunk *chunk; /* open in the ring; NULL: none yet */
    uint64_t random;               /* state of the generator */
    uint32_t busy;                 /* enum thread_busy */
    uint32_t index;                /* of its slot */
} __attribute__((aligned(CACHE_LINE)));

extern const struct thread thread_none HIDDEN;

extern HIDDEN _Thread_local uintptr_t thread_distance __attribute__((tls_model("initial-exec")));

static always_inline struct thread *thread_current(void)
{
    return (struct thread *)((uintptr_t)&thread_none + thread_distance);
}

/*
 * Count a call of `bytes` down. False when the call belongs to the slow path; nothing has changed
 * then. A signal handler that counts down between the load and the store loses that, which only
 * delays the next sample.
 */
static always_inline bool thread_spend(struct thread *thread, size_t bytes)
{
    uint64_t cost = thread->call_units + bytes;
    uint64_t left = thread->units_left;
    if (unlikely(left <= cost))
        return false;
    thread->units_left = left - cost;
    return true;
}

/* The size class of recording.h: the bit width of size. */
static always_inline unsigned size_class(size_t size)
{
    if (unlikely(size >> 63))
        return 64;
    return 63u - (unsigned)__builtin_clzll(2 * size + 1);
}

static always_inline void count_alloc(struct malloctap_counters *counters, enum malloctap_op op,
                                      size_t size)
{
    counter_add(&counters->calls[op][size_class(size)], 1);
    counter_add(&counters->bytes[op], size);
}

/* After count_alloc(), when the call failed: it counts as a call, but not with its bytes. */
static always_inline void count_failure(struct malloctap_counters *counters, enum malloctap_op op,
                                        size_t size)
{
    counter_add(&counters->failed[op], 1);
    counter_add(&counters->bytes[op], 0 - (uint64_t)size);
}

static always_inline void count_free(struct malloctap_counters *counters, const void *block)
{
    counter_add(&counters->frees, 1);
    if (unlikely(block == NULL))
        counter_add(&counters->frees_null, 1);
}

/* This thread's state in this process, made if need be; NULL when it cannot have one now. */
struct thread *thread_claim(void);

bool thread_wipe_on_fork(void);
void thread_wipe(void);

/* The thread is ending (its destructors run); calls may still follow. */
void thread_leave(struct thread *thread);

#endif
