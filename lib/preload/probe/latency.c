/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <recording/area.h>

#include <string.h>

unsigned latency_bucket(uint64_t time_ns)
{
    if (time_ns < 16)
        return (unsigned)time_ns;
    unsigned power = 63 ^ (unsigned)__builtin_clzll(time_ns); /* of the highest bit: 4 and more */
    unsigned bucket = (power - 2) * 8 + (unsigned)(time_ns >> (power - 3) & 7);
    return bucket < MALLOCTAP_LATENCY_BUCKETS ? bucket : MALLOCTAP_LATENCY_BUCKETS - 1;
}

static struct malloctap_latency *row_at(uint64_t offset)
{
    return area_at(area_of(MALLOCTAP_EXTENT_LATENCY), offset);
}

/* A new row; its offset in the area in *offset. The first is not any thread's. */
static struct malloctap_latency *reserve(uint64_t *offset)
{
    struct area *area = area_of(MALLOCTAP_EXTENT_LATENCY);
    struct malloctap_latency *row = area_reserve(area, sizeof *row, offset);
    if (row != NULL && *offset == 0)
        row = area_reserve(area, sizeof *row, offset);
    return row;
}

/* The thread's row, its own from the first call on. A reader finds it through the slot, and sees by
 * `thread` whether it is still, or already, that thread's. */
static struct malloctap_latency *row_of(struct malloctap_thread_slot *slot)
{
    uint64_t offset;
    struct malloctap_latency *row;
    if (slot->latency != 0) {
        row = row_at(slot->latency - 1);
    } else {
        row = reserve(&offset);
        if (row != NULL)
            slot->latency = 1 + offset;
    }
    if (row != NULL && row->thread != slot->thread)
        __atomic_store_n(&row->thread, slot->thread, __ATOMIC_RELAXED);
    return row;
}

void latency_add(struct malloctap_thread_slot *slot, enum malloctap_op op, double weight,
                 const struct probe *probe)
{
    struct malloctap_latency *row = row_of(slot);
    if (row == NULL || probe->kind == MALLOCTAP_PROBE_NONE)
        return;
    row->ops[op].samples++;
    row->ops[op].weight[probe->kind] += weight;
    if (probe->kind == MALLOCTAP_PROBE_PREEMPTED)
        return;
    double time = (double)probe->time_ns, wait = (double)probe->wait_ns;
    row->ops[op].time_ns += weight * time;
    row->ops[op].wait_ns += weight * wait;
    row->ops[op].time_variance += weight * (weight - 1) * time * time;
    row->ops[op].wait_variance += weight * (weight - 1) * wait * wait;
    if (row->ops[op].max_ns < probe->time_ns)
        row->ops[op].max_ns = probe->time_ns;
    row->ops[op].buckets[latency_bucket(probe->time_ns)] += weight;
}

static void add_op(struct malloctap_latency *to, const struct malloctap_latency *from, int op)
{
    for (int kind = 0; kind < MALLOCTAP_PROBES; kind++)
        to->ops[op].weight[kind] += from->ops[op].weight[kind];
    to->ops[op].time_ns += from->ops[op].time_ns;
    to->ops[op].wait_ns += from->ops[op].wait_ns;
    to->ops[op].time_variance += from->ops[op].time_variance;
    to->ops[op].wait_variance += from->ops[op].wait_variance;
    to->ops[op].samples += from->ops[op].samples;
    if (to->ops[op].max_ns < from->ops[op].max_ns)
        to->ops[op].max_ns = from->ops[op].max_ns;
    for (unsigned i = 0; i < MALLOCTAP_LATENCY_BUCKETS; i++)
        to->ops[op].buckets[i] += from->ops[op].buckets[i];
}

void latency_fold(const struct malloctap_thread_slot *slot)
{
    struct malloctap_latency *folded = row_at(0);
    struct malloctap_latency *row = slot->latency ? row_at(slot->latency - 1) : NULL;
    if (folded == NULL || row == NULL || row->thread != slot->thread)
        return;
    /* Who is killed in between leaves calls out of the histograms rather than twice in them. */
    __atomic_store_n(&row->thread, MALLOCTAP_LATENCY_MOVING, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (int op = 0; op < MALLOCTAP_OPS; op++)
        add_op(folded, row, op);
    memset(row->ops, 0, sizeof row->ops);
    __atomic_store_n(&row->thread, 0, __ATOMIC_RELEASE);
}
