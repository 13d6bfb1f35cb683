/* SPDX-License-Identifier: MIT */
/*
 * thread.h - what the fast path knows of the calling thread.
 *
 * Thread-local storage holds the distance from `thread_none` to this thread's state, so it is valid
 * when zero: before the first call a thread sees thread_none, whose limit is zero, and every call
 * takes the slow path. The states live in memory that a fork wipes (MADV_WIPEONFORK), so in a
 * child, however it was made, a thread that had a state sees limit zero and takes the slow path
 * too. One comparison covers all of it.
 *
 * A signal handler may fork in the middle of anything here, and come back in the child to memory
 * that was wiped under it. So nothing outside the slow path ever stores a limit, the slow path does
 * it only by compare-and-swap from a marker that a wipe removes, and the pointer to the slot is in
 * thread-local storage: never null where it is used, if not always this process's.
 */
#ifndef PRELOAD_THREAD_H
#define PRELOAD_THREAD_H

#include "size_class.h"

#include <compiler.h>
#include <counter.h>
#include <malloctap/recording.h>
#include <probe/probe.h>
#include <recording/event.h>
#include <recording/ring.h>
#include <sample/budget.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is the recorder at work on this thread? If so, calls that come are a signal handler's, or its
 * own. */
enum thread_busy {
    THREAD_IDLE,
    THREAD_BUSY,      /* calls are a handler's: counted */
    THREAD_INSIDE,    /* in an operator of the backend: calls are part of one that is counted */
    THREAD_OWN_CALLS, /* calls are most likely the recorder's: counted as `uncounted` */
};

struct stack_memory;

/* Values of a limit that are no distance. */
#define LIMIT_UNKNOWN 0u       /* this process does not know the thread */
#define LIMIT_SLOW 1u          /* every call takes the slow path; while the thread is busy, too */
#define LIMIT_NEVER UINT64_MAX /* none does */

/* What is to be done with calls; from the options, until a tool asks for something else. */
struct thread_orders {
    uint64_t mean;       /* of the units to the next sample */
    uint64_t base;       /* the most it is at the default rate */
    uint32_t mode;       /* enum malloctap_mode */
    uint32_t generation; /* of malloctap_control that was obeyed last */
    uint32_t draws;      /* of distances since `base` doubled, while it may again */
    uint32_t thinnings;  /* how often `base` may still double */
    bool adapts;         /* the rate does, to what the thread does */
    bool watches;        /* every call: the limit is LIMIT_SLOW, and `draw_at` is where it was */
    bool watch_failed;   /* it cannot be watched */
    uint16_t alarms;     /* for nothing, since the last draw */
    uint32_t waits_part; /* of the calls drawn lately, those that waited, in 65536ths */
    uint32_t waits_age;  /* draws until the last wait is long ago */
    uint32_t trust;      /* draws until sleeping arouses suspicion again */
    uint64_t sleeps;     /* of the thread, wherever, by the last draw */
    struct budget budget;
};

struct thread {
    uint64_t spent;         /* units since the last sample */
    uint64_t limit;         /* a call that takes `spent` there goes the slow way */
    uint64_t call_units;    /* cost of a call, beside its bytes; at least 1 */
    uint64_t random;        /* state of the generator */
    uint32_t busy;          /* enum thread_busy */
    uint32_t used;          /* claimed by a thread of this process */
    uint64_t busy_sp;       /* THREAD_BUSY: where the call was made; 0: not known */
    uint64_t live_limit;    /* of one that may have ended, if it lives on; 0: no such doubt */
    uint64_t outside_limit; /* THREAD_INSIDE: the limit to go back to */
    uint64_t draw_at;       /* the next sample is due there: at the limit, or some calls later */
    uint64_t mark_at;       /* it is prepared there */
    uint64_t drawn_ns;      /* when that was drawn */
    struct probe_mark mark; /* made at that limit */
    uint64_t usual_ns[MALLOCTAP_OPS]; /* of calls that nothing kept, lately; 0: none yet */
    struct thread_orders orders;
    struct ring_writer ring;
    struct log_base log_base;          /* of the next event in the open chunk */
    struct stack_memory *stack_memory; /* of the stack logged last; NULL: none */
    uint64_t inside_size;              /* THREAD_INSIDE an operator new: the bytes asked for, */
    uint32_t inside_op;                /* and the enum malloctap_op that it counts as */
} __attribute__((aligned(CACHE_LINE)));

/* All the thread-local storage there is. */
struct thread_storage {
    uintptr_t distance;                 /* from thread_none to the thread's state */
    struct malloctap_thread_slot *slot; /* valid when the state's limit is not LIMIT_UNKNOWN */
    uint64_t refused_ns;                /* when there was no slot for it; 0: never */
};

extern const struct thread thread_none HIDDEN;

extern HIDDEN _Thread_local struct thread_storage thread_storage
    __attribute__((tls_model("initial-exec")));

static always_inline struct thread *thread_current(void)
{
    return (struct thread *)((uintptr_t)&thread_none + thread_storage.distance);
}

static always_inline struct malloctap_counters *thread_counters(void)
{
    return &thread_storage.slot->counters;
}

/*
 * Count a call of `bytes` towards the limit. False when the call belongs to the slow path; nothing
 * has changed then. A signal handler that counts between the load and the store loses that, or has
 * its own sample followed by one too soon; both are rare beyond measure.
 */
static always_inline bool thread_spend(struct thread *thread, size_t bytes)
{
    uint64_t spent = thread->spent + thread->call_units + bytes;
    if (unlikely(spent >= thread->limit))
        return false;
    thread->spent = spent;
    return true;
}

/* Will a call of `bytes` be sampled, as far as can be told before it? */
static always_inline bool thread_due(const struct thread *thread, size_t bytes)
{
    uint64_t limit = thread->limit, sum = thread->spent + thread->call_units + bytes;
    return sum >= limit && sum >= thread->draw_at &&
           (limit > LIMIT_SLOW || thread->orders.watches) && thread->busy == THREAD_IDLE &&
           thread->orders.mode == MALLOCTAP_MODE_SAMPLE;
}

/* Change the limit unless the state was wiped meanwhile. Only a signal handler of this very thread
 * can come in between, so one instruction is atomic enough, and need not lock the bus. */
static inline bool thread_change_limit(struct thread *thread, uint64_t from, uint64_t to)
{
#ifdef __x86_64__
    bool changed;
    __asm__("cmpxchgq %3, %1"
            : "=@ccz"(changed), "+m"(thread->limit), "+a"(from)
            : "r"(to)
            : "memory");
    return changed;
#else
    return __atomic_compare_exchange_n(&thread->limit, &from, to, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
#endif
}

static always_inline void count_alloc(struct malloctap_counters *counters, enum malloctap_op op,
                                      size_t size)
{
    counter_add(&counters->calls[op][size_class(size)], 1);
    counter_add(&counters->bytes[op], size);
}

/* After count_alloc(), when the call failed: it counts as a call, but not with its bytes. */
static inline void count_failure(struct malloctap_counters *counters, enum malloctap_op op,
                                 size_t size)
{
    counter_add(&counters->failed[op], 1);
    counter_add(&counters->bytes[op], 0 - (uint64_t)size);
    if (size >> 63) {
        counter_add(&counters->calls[op][MALLOCTAP_SIZE_CLASSES - 1], 1);
        counter_add(&counters->calls[op][size_class(size)], -1ull);
    }
}

static always_inline void count_free(struct malloctap_counters *counters)
{
    counter_add(&counters->frees, 1);
}

/* A state and slot for the calling thread, not yet published; its limit is LIMIT_SLOW. NULL when
 * there is none. `may_ask`: whether the kernel may be asked which threads are dead, to reuse their
 * slots. */
struct thread *thread_claim(bool may_ask, struct malloctap_thread_slot **slot);

/* From now on the calling thread is known by this state, with this limit. */
void thread_publish(struct thread *thread, struct malloctap_thread_slot *slot, uint64_t limit);

bool thread_wipe_on_fork(void);
void thread_wipe(void);

/* The thread is ending (its destructors run); calls may still follow. */
void thread_leave(struct thread *thread);

/*
 * It may have ended: all it ever did is to free null, as libc does for each thread after its
 * destructors. From now on every call takes the slow path, and one that is different shows that it
 * has not.
 */
void thread_doubt(struct thread *thread);
void thread_lives_on(struct thread *thread);

#endif
