/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include "exponential.h"
#include "orders.h"
#include "stacks.h"

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
    uint64_t seed = recording_ticks() ^ (uint64_t)slot->tid << 40 ^ slot->thread;
    const void *kernel_random = (const void *)getauxval(AT_RANDOM);
    if (kernel_random != NULL) {
        uint64_t bits;
        memcpy(&bits, kernel_random, sizeof bits);
        seed ^= bits;
    }
    thread->random = scramble(seed) | 1;
    orders_begin(thread);
}

static double weight_of(const struct thread *thread, const struct call *call)
{
    uint64_t bytes = call->op == MALLOCTAP_OP_FREE ? 0 : call->size;
    return exponential_weight(thread->call_units + bytes, thread->orders.mean);
}

static bool record_call(struct thread *thread, const struct call *call, uint8_t kind,
                        uint64_t ticks, const void *address, double weight, uint32_t flags,
                        uint32_t stack)
{
    struct malloctap_sample sample = {
        .head = {kind, (uint8_t)call->op, sizeof sample, stack},
        .ticks = ticks,
        .address = (uintptr_t)address,
        .size = call->op == MALLOCTAP_OP_FREE ? 0 : call->size,
        .weight = weight,
        .flags = flags,
    };
    bool recorded = ring_append(&thread->ring, thread_storage.slot, &sample.head, ticks);
    counter_add(recorded ? &thread_counters()->samples : &thread_counters()->samples_lost, 1);
    return recorded;
}

void sample_allocation(struct thread *thread, const struct call *call)
{
    if (thread->orders.mode != MALLOCTAP_MODE_SAMPLE)
        return;
    uint64_t ticks = recording_ticks();
    double weight = weight_of(thread, call);
    uint32_t stack = stacks_take(thread);
    uint32_t flags = call->result == NULL ? MALLOCTAP_SAMPLE_FAILED : 0;
    if (call->result != NULL) {
        struct life life = {call->size, weight, ticks, stack};
        if (!lives_add(call->result, &life)) {
            flags |= MALLOCTAP_SAMPLE_UNTRACKED;
            counter_add(&thread_counters()->lives_lost, 1);
        }
    }
    if (!record_call(thread, call, MALLOCTAP_RECORD_ALLOC, ticks, call->result, weight, flags,
                     stack)) {
        struct life unrecorded;
        if (call->result != NULL)
            lives_take(call->result, &unrecorded);
    }
}

void sample_free(struct thread *thread, const struct call *call)
{
    if (thread->orders.mode != MALLOCTAP_MODE_SAMPLE)
        return;
    uint64_t ticks = recording_ticks();
    record_call(thread, call, MALLOCTAP_RECORD_FREE, ticks, call->block, weight_of(thread, call), 0,
                stacks_take(thread));
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
