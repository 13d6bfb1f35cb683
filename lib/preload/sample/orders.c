/* SPDX-License-Identifier: MIT */
#include "orders.h"

#include "exponential.h"
#include "lives.h"

#include <config/config.h>
#include <probe/probe.h>
#include <recording/recording.h>

/* At the default rate a thread that calls much is sampled less as it goes on: what is known of its
 * first millions of calls is not worth much more at the two thousandth sample. */
#define DRAWS_A_MEAN 1024u
#define THINNINGS 4u

/* One that calls little is sampled more, up to one call in so many, as long as few of the blocks
 * are still allocated: for each of them more frees have to look whether it is theirs. */
#define CALLS_LEAST 16u
#define LIVES_MOST 2048u

/* At the default rate. */
static uint64_t least_mean(const struct thread *thread)
{
    uint64_t least = CALLS_LEAST * thread->call_units;
    return least < thread->orders.base ? least : thread->orders.base;
}

/* A distance that no call is cheaper than, and the least that is a limit. */
#define EVERY_CALL (LIMIT_SLOW + 1)

static void set_rate(struct thread *thread, uint64_t calls, uint64_t bytes, bool thin)
{
    thread->orders.mean = thread->orders.base = bytes;
    thread->orders.adapts = thin;
    thread->orders.draws = 0;
    thread->orders.thinnings = thin ? THINNINGS : 0;
    thread->call_units = config_call_units(calls, bytes);
    /* Where a call costs all that lies between two samples, every call was asked for. */
    if (thread->call_units >= bytes) {
        thread->orders.mean = thread->orders.base = 0;
        thread->call_units = thread->call_units > EVERY_CALL ? thread->call_units : EVERY_CALL;
    }
    thread->orders.budget = budget_begin(least_mean(thread), bytes);
}

static void follow_options(struct thread *thread)
{
    thread->orders.mode = config.mode;
    set_rate(thread, config.calls, config.bytes, config.thin);
}

/* What others wrote may be anything: it is taken like an option. */
static void follow_control(struct thread *thread, const struct malloctap_control *control)
{
    uint32_t mode = __atomic_load_n(&control->mode, __ATOMIC_RELAXED);
    uint64_t calls = __atomic_load_n(&control->calls, __ATOMIC_RELAXED);
    uint64_t bytes = __atomic_load_n(&control->bytes, __ATOMIC_RELAXED);
    if (mode >= MALLOCTAP_MODE_COUNT && mode <= MALLOCTAP_MODE_LOG)
        thread->orders.mode = mode;
    if (calls == 0 && bytes == 0)
        return;
    calls = calls ? calls : config.calls;
    bytes = config_clamp_bytes(bytes ? bytes : config.bytes);
    set_rate(thread, calls, bytes, false);
}

void orders_begin(struct thread *thread)
{
    thread->orders.generation = 0;
    follow_options(thread);
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
    follow_options(thread);
    follow_control(thread, control);
    thread->orders.generation = generation;
    __atomic_store_n(&control->seen, generation, __ATOMIC_RELAXED);
}

/* A sample is prepared so many calls before it is due. */
#define MARK_CALLS 16u

static void thin_out(struct thread_orders *orders)
{
    if (unlikely(++orders->draws > DRAWS_A_MEAN) && orders->thinnings > 0) {
        orders->draws = 1;
        orders->thinnings--;
        if (orders->budget.mean == orders->base)
            orders->budget.mean *= 2;
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
    bool affords = orders->budget.mean < orders->base && lives_count() < LIVES_MOST;
    orders->mean = affords ? orders->budget.mean : orders->base;
}

uint64_t orders_next_limit(struct thread *thread)
{
    if (!recording_in_file())
        return LIMIT_NEVER;
    if (unlikely(orders_changed(thread)))
        obey(thread);
    if (thread->orders.mode == MALLOCTAP_MODE_LOG)
        return LIMIT_SLOW;
    if (thread->orders.adapts)
        thin_out(&thread->orders);
    look(thread);
    if (thread->orders.adapts)
        adapt(thread);
    uint64_t mean = thread->orders.mean;
    uint64_t distance = mean > 0 ? exponential_draw(&thread->random, mean) : EVERY_CALL;
    uint64_t lead = MARK_CALLS * thread->call_units;
    bool prepares = thread->orders.mode == MALLOCTAP_MODE_SAMPLE && probe_asks();
    thread->draw_at = distance;
    thread->mark.at_ns = 0;
    /* LIMIT_SLOW would have the very next call sampled, whatever it costs. */
    if (!prepares || distance <= lead + LIMIT_SLOW)
        return distance;
    thread->drawn_ns = recording_now_ns();
    return distance - lead;
}
