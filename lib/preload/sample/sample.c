/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include "exponential.h"
#include "orders.h"
#include "stacks.h"

#include <backend/backend.h>
#include <probe/latency.h>
#include <recording/recording.h>
#include <recording/ring.h>

#include <string.h>
#include <sys/auxv.h>

/* splitmix64's finaliser: neighbouring seeds give unrelated generators. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

void sample_thread_init(struct thread *thread, const struct malloctap_thread_slot *slot)
{
    uint64_t seed = recording_now_ns() ^ (uint64_t)slot->tid << 40 ^ slot->thread;
    const void *kernel_random = (const void *)getauxval(AT_RANDOM);
    if (kernel_random != NULL) {
        uint64_t bits;
        memcpy(&bits, kernel_random, sizeof bits);
        seed ^= bits;
    }
    thread->random = scramble(seed) | 1;
    orders_begin(thread);
}

static double weight_of(const struct thread *thread, const struct call *call,
                        const struct probe *probe)
{
    if (probe->certain)
        return 1;
    uint64_t bytes = call->op == MALLOCTAP_OP_FREE ? 0 : call->size;
    return exponential_weight(thread->call_units + bytes, thread->orders.mean);
}

static uint32_t watched(const struct probe *probe)
{
    return probe->watched ? MALLOCTAP_SAMPLE_WATCHED : 0;
}

static bool record(struct thread *thread, const struct malloctap_sample *sample)
{
    bool recorded = ring_append(&thread->ring, thread_storage.slot, &sample->head, sample->ticks);
    counter_add(recorded ? &thread_counters()->samples : &thread_counters()->samples_lost, 1);
    return recorded;
}

/* Remember the block until it is freed. */
static void live(const struct call *call, struct malloctap_sample *sample)
{
    struct life life = {call->size, sample->weight, sample->ticks, sample->head.stack};
    if (lives_add(call->result, &life))
        return;
    sample->flags |= MALLOCTAP_SAMPLE_UNTRACKED;
    counter_add(&thread_counters()->lives_lost, 1);
}

/* Of a blocked call's time what such a call takes without is not waiting. That is learned from the
 * thread's own, each new one an eighth. */
static struct probe settle(struct thread *thread, enum malloctap_op op, const struct probe *probe)
{
    struct probe settled = *probe;
    uint64_t *usual = &thread->usual_ns[op];
    if (probe->kind == MALLOCTAP_PROBE_FAST)
        *usual = *usual ? (*usual * 7 + probe->time_ns + 7) / 8 : probe->time_ns;
    if (probe->kind == MALLOCTAP_PROBE_BLOCKED)
        settled.wait_ns = probe->time_ns > *usual ? probe->time_ns - *usual : 0;
    return settled;
}

void sample_allocation(struct thread *thread, const struct call *call, const struct probe *measured)
{
    const struct probe settled = settle(thread, call->op, measured), *probe = &settled;
    struct malloctap_sample sample = {
        .head = {MALLOCTAP_RECORD_ALLOC, (uint8_t)call->op, sizeof sample, 0},
        .ticks = recording_ticks(),
        .address = (uintptr_t)call->result,
        .size = call->size,
        .weight = weight_of(thread, call, probe),
        .flags = (call->result == NULL ? MALLOCTAP_SAMPLE_FAILED : 0) | watched(probe),
        .probe = probe->kind,
        .time_ns = probe->time_ns,
        .wait_ns = probe->wait_ns,
        .usable = call->result != NULL && backend_identity.tells_sizes
                      ? backend.malloc_usable_size(call->result)
                      : 0,
        .peak_rss_kib = probe->peak_rss_kib,
    };
    sample.head.stack = stacks_take(thread);
    latency_add(thread_storage.slot, call->op, sample.weight, probe);
    if (call->result != NULL)
        live(call, &sample);
    if (!record(thread, &sample)) {
        struct life unrecorded;
        if (call->result != NULL)
            lives_take(call->result, &unrecorded);
    }
}

void sample_free(struct thread *thread, const struct call *call, const struct probe *measured)
{
    const struct probe settled = settle(thread, MALLOCTAP_OP_FREE, measured), *probe = &settled;
    struct malloctap_sample sample = {
        .head = {MALLOCTAP_RECORD_FREE, MALLOCTAP_OP_FREE, sizeof sample, stacks_take(thread)},
        .ticks = probe->began_ns / RECORDING_TICK_NS,
        .address = (uintptr_t)call->block,
        .weight = weight_of(thread, call, probe),
        .flags = watched(probe),
        .probe = probe->kind,
        .time_ns = probe->time_ns,
        .wait_ns = probe->wait_ns,
        .peak_rss_kib = probe->peak_rss_kib,
    };
    latency_add(thread_storage.slot, MALLOCTAP_OP_FREE, sample.weight, probe);
    record(thread, &sample);
}

void sample_freed(struct thread *thread, const struct call *call, const struct life *life,
                  uint64_t ticks)
{
    struct malloctap_freed freed = {
        .head = {MALLOCTAP_RECORD_FREED, (uint8_t)call->op, sizeof freed, life->stack},
        .ticks = ticks,
        .address = (uintptr_t)call->block,
        .size = life->size,
        .weight = life->weight,
        .allocated_ticks = life->ticks,
    };
    if (!ring_append(&thread->ring, thread_storage.slot, &freed.head, ticks))
        counter_add(&thread_counters()->lives_lost, 1);
}
