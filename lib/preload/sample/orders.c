/* SPDX-License-Identifier: MIT */
#include "orders.h"

#include "exponential.h"
#include "lives.h"
#include "watch.h"

#include <config/config.h>
#include <probe/probe.h>
#include <recording/recording.h>

/*
 * At the default rate samples take some hundredths of a thread's processor time at first, when
 * nothing is known yet, and ever less as it goes on: what comes later only makes it more precise.
 * With its probe and its stack a sample takes one microsecond in a loop, and five among other work,
 * which finds its code and data in no cache.
 */
#define DRAWS_A_MEAN 512u
#define THINNINGS 4u

/* One that calls little is sampled more, up to one call in so many. */
#define CALLS_LEAST 16u

/* How often a thread that only counts looks for other orders. */
#define LOOK_CALLS 65536u
#define LOOK_BYTES (LOOK_CALLS * UINT64_C(128))
#define LOOK_APART_NS 5000000u

/* At the default rate. */
static uint64_t least_mean(const struct thread *thread)
{
    uint64_t least = CALLS_LEAST * thread->call_units;
    return least < thread->orders.base ? least : thread->orders.base;
}

/* A distance that no call is cheaper than, and the least that is a limit. */
#define EVERY_CALL (LIMIT_SLOW + 1)

struct rate {
    uint64_t calls, bytes; /* one sample in so many */
    uint64_t apart_ns;     /* adapted to this processor time between samples; 0: fixed */
    uint32_t thinnings;
};

static void set_rate(struct thread *thread, struct rate rate)
{
    struct thread_orders *orders = &thread->orders;
    orders->mean = orders->base = rate.bytes;
    orders->adapts = rate.apart_ns != 0;
    orders->draws = 0;
    orders->thinnings = rate.thinnings;
    thread->call_units = config_call_units(rate.calls, rate.bytes);
    /* Where a call costs all that lies between two samples, every call was asked for. */
    if (thread->call_units >= rate.bytes) {
        orders->mean = orders->base = 0;
        thread->call_units = thread->call_units > EVERY_CALL ? thread->call_units : EVERY_CALL;
    }
    orders->budget = budget_begin(orders->adapts ? rate.apart_ns : ORDERS_APART_NS,
                                  least_mean(thread), rate.bytes);
}

/* What the options say. */
static struct rate rate_of_options(void)
{
    return (struct rate){config.calls, config.bytes, config.thin ? ORDERS_APART_NS : 0,
                         config.thin ? THINNINGS : 0};
}

/* What others wrote may be anything: it is taken like an option. */
static struct rate rate_of_control(const struct malloctap_control *control)
{
    uint64_t calls = __atomic_load_n(&control->calls, __ATOMIC_RELAXED);
    uint64_t bytes = __atomic_load_n(&control->bytes, __ATOMIC_RELAXED);
    if (calls == 0 && bytes == 0)
        return rate_of_options();
    return (struct rate){.calls = calls ? calls : config.calls,
                         .bytes = config_clamp_bytes(bytes ? bytes : config.bytes)};
}

static void follow(struct thread *thread, uint32_t mode, struct rate rate)
{
    thread->orders.mode = mode;
    if (mode == MALLOCTAP_MODE_COUNT)
        rate = (struct rate){LOOK_CALLS, LOOK_BYTES, LOOK_APART_NS, 0};
    set_rate(thread, rate);
}

void orders_begin(struct thread *thread)
{
    thread->orders.generation = 0;
    follow(thread, config.mode, rate_of_options());
}

bool orders_changed(const struct thread *thread)
{
    const struct malloctap_control *control = &recording_header()->control;
    return __atomic_load_n(&control->generation, __ATOMIC_RELAXED) != thread->orders.generation;
}

static void obey(struct thread *thread)
{
    struct malloctap_control *control = &recording_header()->control;
    /* Acquire pairs with the tool's release: who sees the generation sees what it is about. */
    uint32_t generation = __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE);
    uint32_t mode = __atomic_load_n(&control->mode, __ATOMIC_RELAXED);
    bool is_mode = mode >= MALLOCTAP_MODE_COUNT && mode <= MALLOCTAP_MODE_LOG;
    follow(thread, is_mode ? mode : config.mode, rate_of_control(control));
    thread->orders.generation = generation;
    __atomic_store_n(&control->seen, generation, __ATOMIC_RELAXED);
}

/* A sample is prepared so many calls before it is due. */
#define MARK_CALLS 16u

/* Not where the thread waits: waits are few, and it has the time. */
static void thin_out(struct thread_orders *orders)
{
    if (orders->thinnings > 0 && orders->waits_age == 0 &&
        unlikely(++orders->draws > DRAWS_A_MEAN)) {
        orders->draws = 1;
        orders->thinnings--;
        if (orders->budget.mean == orders->base)
            orders->budget.mean *= 2;
        orders->budget.apart_ns *= 2;
        orders->base *= 2;
    }
}

/* What the thread used of its processor bounds what it can have waited; at a rate that was asked
 * for it changes nothing else. */
static void look(struct thread *thread)
{
    struct thread_orders *orders = &thread->orders;
    uint64_t least = orders->adapts ? least_mean(thread) : orders->base;
    uint64_t cpu_ns = budget_look(&orders->budget, thread->draw_at, least, orders->base);
    if (cpu_ns != 0) /* else the thread may have no slot yet */
        thread_storage.slot->cpu_ns += cpu_ns;
}

/* Choose the mean of the next distance at the default rate. */
static void adapt(struct thread *thread)
{
    struct thread_orders *orders = &thread->orders;
    bool affords = orders->budget.mean < orders->base && lives_count() < LIVES_MANY;
    orders->mean = affords ? orders->budget.mean : orders->base;
}

uint64_t orders_next_limit(struct thread *thread)
{
    if (!recording_in_file())
        return LIMIT_NEVER;
    if (unlikely(orders_changed(thread)))
        obey(thread);
    thread->orders.watches = thread->orders.watches && thread->orders.mode == MALLOCTAP_MODE_SAMPLE;
    if (thread->orders.mode == MALLOCTAP_MODE_LOG)
        return LIMIT_SLOW;
    thin_out(&thread->orders);
    look(thread);
    if (thread->orders.adapts)
        adapt(thread);
    uint64_t mean = thread->orders.mean;
    uint64_t distance = mean > 0 ? exponential_draw(&thread->random, mean) : EVERY_CALL;
    uint64_t lead = MARK_CALLS * thread->call_units;
    bool prepares = thread->orders.mode == MALLOCTAP_MODE_SAMPLE && probe_asks();
    /* LIMIT_SLOW would have the very next call sampled, whatever it costs. */
    prepares = prepares && distance > lead + LIMIT_SLOW;
    thread->draw_at = distance;
    thread->mark_at = prepares ? distance - lead : distance;
    thread->mark.at_ns = 0;
    if (prepares)
        thread->drawn_ns = recording_now_ns();
    watch_choose(thread);
    return thread->orders.watches ? LIMIT_SLOW : thread->mark_at;
}
