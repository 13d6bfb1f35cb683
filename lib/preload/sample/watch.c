/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "lives.h"

#include <probe/probe.h>

#define WATCH_WAITING_NS 4000u /* processor time a call, at least, where some wait */
#define WATCH_NS 50000u        /* and where none does */
#define ALARMS_MOST 8u         /* for nothing, from one draw to the next */
#define WAITS_AGE 256u         /* draws after a wait */
#define SUSPECT_AGE 16u        /* or after a suspicion */
#define PART_ONE 65536u
#define PART_MEMORY 64u /* draws that a part is a mean over */

void watch_note(struct thread *thread, bool drawn, bool waited)
{
    uint32_t *part = &thread->orders.waits_part;
    if (waited)
        thread->orders.waits_age = WAITS_AGE;
    if (drawn)
        *part -= (*part + PART_MEMORY - 1) / PART_MEMORY;
    if (drawn && waited)
        *part += PART_ONE / PART_MEMORY;
}

/* Who sleeps at all may do so in the allocator: that is found out by watching for a while, now and
 * then. */
static void suspect(struct thread_orders *orders, uint64_t sleeps)
{
    bool slept = sleeps != orders->sleeps;
    orders->sleeps = sleeps;
    orders->trust -= orders->trust > 0;
    orders->waits_age -= orders->waits_age > 0;
    if (!slept || orders->trust > 0 || orders->waits_age > 0)
        return;
    orders->waits_age = SUSPECT_AGE;
    orders->trust = WAITS_AGE;
}

static bool takes_long(const struct thread *thread)
{
    const struct budget *budget = &thread->orders.budget;
    uint64_t call_ns = thread->orders.waits_age > 0 ? WATCH_WAITING_NS : WATCH_NS;
    return budget->took_ns >= call_ns * (budget->took_units / thread->call_units + 1);
}

static bool wants_watch(const struct thread *thread)
{
    const struct thread_orders *orders = &thread->orders;
    bool few = (uint64_t)orders->waits_part * orders->mean <= 2 * PART_ONE * thread->call_units;
    return orders->mode == MALLOCTAP_MODE_SAMPLE && orders->adapts && !orders->watch_failed &&
           few && takes_long(thread) && lives_count() < LIVES_MANY;
}

void watch_choose(struct thread *thread)
{
    struct thread_orders *orders = &thread->orders;
    orders->watch_failed = orders->watch_failed || orders->alarms >= ALARMS_MOST;
    orders->alarms = 0;
    suspect(orders, thread->mark.sleeps);
    bool wanted = probe_asks() && wants_watch(thread);
    if (wanted && !orders->watches)
        orders->watch_failed = !probe_watch(&thread->mark);
    orders->watches = wanted && !orders->watch_failed;
}
