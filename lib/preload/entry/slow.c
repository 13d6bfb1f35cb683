/* SPDX-License-Identifier: MIT */
#include "slow.h"

#include <boot/arena.h>
#include <lifecycle/lifecycle.h>
#include <log/log.h>
#include <probe/probe.h>
#include <recording/area.h>
#include <recording/recording.h>
#include <sample/lives.h>
#include <sample/orders.h>
#include <sample/sample.h>
#include <sample/stacks.h>
#include <sample/watch.h>
#include <sys.h>
#include <thread/thread.h>

#include <errno.h>
#include <signal.h>

/* Whether an allocation that returned NULL failed: realloc(p, 0) may just have freed p. */
static bool failed(const struct call *call)
{
    bool freed = call->op == MALLOCTAP_OP_REALLOC && call->size == 0 && call->block != NULL;
    return call->result == NULL && !freed;
}

static void count_returned(struct malloctap_counters *counters, const struct call *call)
{
    count_alloc(counters, call->op, call->size);
    if (failed(call))
        count_failure(counters, call->op, call->size);
    if (call->op != MALLOCTAP_OP_REALLOC)
        return;
    if (call->block == NULL)
        counter_add(&counters->reallocs_from_null, 1);
    else if (call->size == 0 && call->result == NULL)
        counter_add(&counters->reallocs_to_zero, 1);
}

static void count_given_back(struct malloctap_counters *counters, const struct call *call)
{
    count_free(counters);
    if (call->block == NULL)
        counter_add(&counters->frees_null, 1);
}

/* Without a state of its own a thread counts where others do too. */
static void count_unslotted(const struct call *call)
{
    struct malloctap_counters *shared = lifecycle_unslotted();
    struct malloctap_counters own = {0};
    if (call->op == MALLOCTAP_OP_FREE)
        count_given_back(&own, call);
    else
        count_returned(&own, call);
    const uint64_t *from = (const uint64_t *)&own;
    uint64_t *to = (uint64_t *)shared;
    for (size_t i = 0; i < sizeof own / sizeof *from; i++)
        if (from[i] != 0)
            counter_add_shared(&to[i], from[i]);
}

/* Where on the stack a call was made, or a little beyond. */
static uint64_t place_of(const struct call *call)
{
    return call->caller.sp != 0 ? call->caller.sp : (uintptr_t)__builtin_frame_address(0);
}

/* From here to busy_end() the recorder is at work. */
static uint64_t busy_begin(struct thread *thread, const struct call *call)
{
    uint64_t limit = thread->limit;
    thread->busy_sp = place_of(call);
    thread->busy = THREAD_BUSY;
    thread_change_limit(thread, limit, LIMIT_SLOW);
    return limit;
}

/* How a call that came to the thread's limit is to be treated. */
enum turn {
    TURN_ORDINARY, /* it did not, after all, or is only watched */
    TURN_MARK,     /* a sample is due some calls later */
    TURN_LOOK,     /* nothing is sampled: only to look at the orders */
    TURN_SAMPLE,
};

static enum turn turn_of(struct thread *thread, size_t bytes)
{
    if (thread_spend(thread, bytes))
        return TURN_ORDINARY;
    bool watches = thread->orders.watches;
    uint64_t before = thread->spent, spent = before + thread->call_units + bytes;
    if ((thread->limit <= LIMIT_SLOW && !watches) || spent >= thread->draw_at)
        return thread->orders.mode == MALLOCTAP_MODE_SAMPLE ? TURN_SAMPLE : TURN_LOOK;
    thread->spent = spent;
    return spent >= thread->mark_at && before < thread->mark_at ? TURN_MARK : TURN_ORDINARY;
}

static void busy_end(struct thread *thread, bool drawn, uint64_t limit)
{
    if (drawn) {
        limit = orders_next_limit(thread);
        thread->spent = 0;
    }
    thread->busy = THREAD_IDLE;
    thread_change_limit(thread, LIMIT_SLOW, limit);
}

/*
 * Was the recorder's work cut short, by a signal handler that left with longjmp()? While it is at
 * work, other calls of the thread come from handlers, whose frames lie beyond its own; or on an
 * alternate stack, which may be anywhere.
 */
static bool cut_short(const struct thread *thread, const struct call *call)
{
    stack_t stack;
    return thread->busy == THREAD_BUSY && thread->busy_sp != 0 &&
           place_of(call) >= thread->busy_sp && lifecycle_may_ask() &&
           syscall(SYS_sigaltstack, NULL, &stack) == 0 && !(stack.ss_flags & SS_ONSTACK);
}

/* What it was about to write is not there yet, and is lost; whatever was half done is left behind.
 */
static void begin_anew(struct thread *thread)
{
    area_cut_short();
    stacks_forget(thread);
    ring_release(&thread->ring);
    counter_add(&thread_counters()->samples_lost, 1);
    busy_end(thread, true, LIMIT_SLOW);
}

static bool is_busy(struct thread *thread, const struct call *call)
{
    int error = errno;
    if (cut_short(thread, call))
        begin_anew(thread);
    errno = error;
    return thread->busy != THREAD_IDLE;
}

/* The recorder is at work below us on this thread: forward, count, but do not touch the ring. */
static void nested(struct thread *thread, struct call *call)
{
    struct life life;
    if (call->block != NULL && lives_take(call->block, &life))
        counter_add(&thread_counters()->lives_lost, 1);
    enum thread_busy busy = thread->busy;
    call_forward(call);
    if (busy == THREAD_INSIDE)
        return;
    if (busy == THREAD_OWN_CALLS)
        counter_add(&thread_counters()->uncounted, 1);
    else if (call->op == MALLOCTAP_OP_FREE)
        count_given_back(thread_counters(), call);
    else
        count_returned(thread_counters(), call);
    if (busy == THREAD_BUSY && thread->orders.mode == MALLOCTAP_MODE_LOG)
        counter_add(&thread_counters()->samples_lost, 1);
}

/* A thread without a state cannot record that a sampled block ends: it is lost, and told. */
static void end_unseen(const struct call *call)
{
    struct life life;
    if (call->block != NULL && lives_take(call->block, &life))
        counter_add_shared(&lifecycle_unslotted()->lives_lost, 1);
}

/* This thread's state, with the caller's errno kept. */
static struct thread *enter(void)
{
    int error = errno;
    struct thread *thread = lifecycle_thread();
    errno = error;
    return thread;
}

/* The block that a call ends is forgotten before it can be handed out again; true if it was a
 * sampled one. */
static bool end_sampled(const struct call *call, struct life *life, uint64_t *ticks)
{
    if (call->block == NULL || !lives_take(call->block, life))
        return false;
    *ticks = recording_ticks();
    return true;
}

/* The call returned: a sampled block is gone, or, as the call failed, is still there. */
static void conclude_sampled(struct thread *thread, const struct call *call,
                             const struct life *life, uint64_t ticks)
{
    if (!failed(call))
        sample_freed(thread, call, life, ticks);
    else if (!lives_add(call->block, life))
        counter_add(&thread_counters()->lives_lost, 1);
}

/* Log mode. Only the recorder's own work counts as busy: what a signal handler does while the
 * backend works is logged. */
static void log_alloc(struct thread *thread, struct call *call)
{
    struct life life;
    uint64_t ended_at = 0, before = call->op == MALLOCTAP_OP_REALLOC ? recording_ticks() : 0;
    bool ends_sampled = end_sampled(call, &life, &ended_at);
    call_forward(call);
    int error = errno;
    uint64_t limit = busy_begin(thread, call);
    count_returned(thread_counters(), call);
    if (ends_sampled)
        conclude_sampled(thread, call, &life, ended_at);
    log_allocation(thread, call, failed(call), before);
    busy_end(thread, orders_changed(thread), limit);
    errno = error;
}

/* Prepare the sample that is due; the limit until then, which is `limit` if every call is watched.
 */
static uint64_t mark(struct thread *thread, uint64_t limit)
{
    double units_a_ns = (double)thread->spent / (double)(recording_now_ns() - thread->drawn_ns + 1);
    double left = (double)(thread->draw_at - thread->spent);
    probe_mark(&thread->mark, (uint64_t)(left / (units_a_ns + 1e-9)));
    return thread->orders.watches ? limit : thread->draw_at;
}

/* Make a call of which it is to be known what it cost, or whether it is to be recorded for sure. */
static bool make_probed(struct thread *thread, struct call *call, bool drawn, struct probe *ret)
{
    if (!thread->orders.watches) {
        probe_call(call, &thread->mark, ret);
        return true;
    }
    enum probe_watched watched = probe_watched(call, &thread->mark, drawn, ret);
    if (watched == PROBE_ALARMED)
        thread->orders.alarms++;
    return drawn || watched == PROBE_MOVED;
}

/* A call that ends a sampled block, or one to be sampled. */
static void sample_alloc(struct thread *thread, struct call *call)
{
    struct life life;
    uint64_t ended_at = 0;
    enum turn turn = turn_of(thread, call->size);
    uint64_t limit = busy_begin(thread, call);
    bool ends_sampled = end_sampled(call, &life, &ended_at);
    struct probe probe = {.kind = MALLOCTAP_PROBE_NONE};
    bool drawn = turn == TURN_SAMPLE, recorded = drawn;
    if (call->probe != NULL)
        probe = *call->probe;
    else if ((drawn || thread->orders.watches) && call->function != CALL_operator_new)
        recorded = make_probed(thread, call, drawn, &probe);
    else
        call_forward(call);
    int error = errno;
    count_returned(thread_counters(), call);
    if (ends_sampled)
        conclude_sampled(thread, call, &life, ended_at);
    if (recorded) {
        sample_allocation(thread, call, &probe);
        watch_note(thread, drawn, probe.kind == MALLOCTAP_PROBE_BLOCKED);
    }
    if (turn == TURN_MARK)
        limit = mark(thread, limit);
    busy_end(thread, turn >= TURN_LOOK, limit);
    errno = error;
}

void slow_alloc(struct call *call)
{
    struct thread *thread = enter();
    if (unlikely(thread != NULL && thread->live_limit != 0))
        thread_lives_on(thread);
    if (thread == NULL) {
        end_unseen(call);
        call_forward(call);
        if (arena_owns(call->result))
            lives_mark(call->result, arena_usable_size(call->result));
        count_unslotted(call);
    } else if (unlikely(thread->busy) && is_busy(thread, call)) {
        nested(thread, call);
    } else if (thread->orders.mode == MALLOCTAP_MODE_LOG) {
        log_alloc(thread, call);
    } else {
        sample_alloc(thread, call);
    }
}

/* Between these two, calls of this thread come from inside the backend's operator. */
static void operator_begin(struct thread *thread)
{
    thread->busy = THREAD_INSIDE;
}

static void operator_end(struct thread *thread)
{
    thread->busy = THREAD_BUSY;
}

static void forward_probed_free(struct thread *thread, struct call *call, bool drawn)
{
    struct probe probe;
    bool is_operator = call->function == CALL_operator_delete;
    if (is_operator)
        operator_begin(thread);
    bool recorded = make_probed(thread, call, drawn, &probe);
    if (is_operator)
        operator_end(thread);
    if (!recorded)
        return;
    sample_free(thread, call, &probe);
    watch_note(thread, drawn, probe.kind == MALLOCTAP_PROBE_BLOCKED);
}

/* What is recorded of every block is, before it goes back. True: the call was probed and is made.
 */
static bool record_free(struct thread *thread, struct call *call)
{
    bool logged = thread->orders.mode == MALLOCTAP_MODE_LOG;
    enum turn turn = logged ? TURN_ORDINARY : turn_of(thread, 0);
    uint64_t limit = busy_begin(thread, call);
    struct life life;
    uint64_t ended_at;
    count_given_back(thread_counters(), call);
    if (end_sampled(call, &life, &ended_at))
        sample_freed(thread, call, &life, ended_at);
    bool probed = turn == TURN_SAMPLE || (!logged && thread->orders.watches);
    if (logged)
        log_free(thread, call->block, &call->caller);
    if (turn == TURN_MARK)
        limit = mark(thread, limit);
    if (probed)
        forward_probed_free(thread, call, turn == TURN_SAMPLE);
    busy_end(thread, logged ? orders_changed(thread) : turn >= TURN_LOOK, limit);
    return probed;
}

/* A log has no use for it, and goes another way. */
static bool is_doubtful(const struct thread *thread, const struct call *call, bool first)
{
    return call->block == NULL && (first || thread->live_limit != 0) &&
           thread->busy == THREAD_IDLE && thread->orders.mode != MALLOCTAP_MODE_LOG;
}

void slow_free(struct call *call)
{
    int error = errno;
    bool first = thread_current()->limit == LIMIT_UNKNOWN;
    struct thread *thread = enter();
    if (thread == NULL) {
        end_unseen(call);
        count_unslotted(call);
        call_forward(call);
        return;
    }
    if (unlikely(thread->busy) && is_busy(thread, call)) {
        nested(thread, call);
        return;
    }
    bool doubtful = is_doubtful(thread, call, first);
    if (unlikely(thread->live_limit != 0))
        thread_lives_on(thread);
    bool done = record_free(thread, call);
    if (unlikely(doubtful))
        thread_doubt(thread);
    errno = error;
    if (done)
        return;
    struct thread *inside = call->function == CALL_operator_delete ? slow_inside_begin() : NULL;
    call_forward(call);
    slow_inside_end(inside);
}

void slow_prepare(void)
{
    enter();
}

struct thread *slow_inside_begin(void)
{
    struct thread *thread = thread_current();
    uint64_t limit = thread->limit;
    if (limit == LIMIT_UNKNOWN || thread->busy != THREAD_IDLE)
        return NULL;
    thread->outside_limit = limit;
    thread->busy = THREAD_INSIDE;
    return thread_change_limit(thread, limit, LIMIT_SLOW) ? thread : NULL;
}

void slow_inside_end(struct thread *thread)
{
    if (thread == NULL)
        return;
    thread->busy = THREAD_IDLE;
    thread_change_limit(thread, LIMIT_SLOW, thread->outside_limit);
}
