/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "process.h"

#include <probe/latency.h>
#include <recording/area.h>
#include <recording/recording.h>
#include <thread/thread.h>

#include <pthread.h>

static struct malloctap_latency *row_of(const struct malloctap_thread_slot *slot)
{
    return slot->latency ? area_at(area_of(MALLOCTAP_EXTENT_LATENCY), slot->latency - 1) : NULL;
}

static struct malloctap_latency *folded_row(void)
{
    return area_at(area_of(MALLOCTAP_EXTENT_LATENCY), 0);
}

static uint64_t lowest(unsigned bucket)
{
    return bucket < 16 ? bucket : (uint64_t)(8 + bucket % 8) << (bucket / 8 - 1);
}

static void buckets_are_those_of_the_format(void **state)
{
    (void)state;
    for (unsigned bucket = 0; bucket < MALLOCTAP_LATENCY_BUCKETS; bucket++) {
        assert_int_equal(latency_bucket(lowest(bucket)), bucket);
        if (bucket > 0)
            assert_int_equal(latency_bucket(lowest(bucket) - 1), bucket - 1);
    }
    assert_int_equal(latency_bucket(UINT64_MAX), MALLOCTAP_LATENCY_BUCKETS - 1);
}

static void add(struct malloctap_thread_slot *slot, uint32_t kind, uint64_t time, uint64_t wait)
{
    struct probe probe = {.kind = kind, .time_ns = time, .wait_ns = wait};
    latency_add(slot, MALLOCTAP_OP_FREE, 10, &probe);
}

static struct malloctap_thread_slot *claim(void)
{
    struct malloctap_thread_slot *slot;
    return thread_claim(true, &slot) ? slot : NULL;
}

static void sums_body(void)
{
    recording_open(false, false, "");
    struct malloctap_thread_slot *slot = claim();
    CHECK(slot != NULL && slot->latency == 0);
    add(slot, MALLOCTAP_PROBE_FAST, 5, 0);
    add(slot, MALLOCTAP_PROBE_BLOCKED, 3000, 3000);
    add(slot, MALLOCTAP_PROBE_PREEMPTED, 9000, 0);
    add(slot, MALLOCTAP_PROBE_NONE, 0, 0);

    const struct malloctap_latency *row = row_of(slot);
    CHECK(row != NULL && row != folded_row() && row->thread == slot->thread);
    CHECK(row->ops[MALLOCTAP_OP_FREE].samples == 3);
    CHECK(row->ops[MALLOCTAP_OP_FREE].weight[MALLOCTAP_PROBE_NONE] == 0);
    CHECK(row->ops[MALLOCTAP_OP_FREE].weight[MALLOCTAP_PROBE_PREEMPTED] == 10);
    CHECK(row->ops[MALLOCTAP_OP_FREE].time_ns == 10 * 3005);
    CHECK(row->ops[MALLOCTAP_OP_FREE].wait_ns == 10 * 3000);
    CHECK(row->ops[MALLOCTAP_OP_FREE].max_ns == 3000);
    CHECK(row->ops[MALLOCTAP_OP_FREE].buckets[5] == 10);
    CHECK(row->ops[MALLOCTAP_OP_FREE].buckets[latency_bucket(3000)] == 10);
    CHECK(row->ops[MALLOCTAP_OP_FREE].buckets[latency_bucket(9000)] == 0);
    CHECK(row->ops[MALLOCTAP_OP_MALLOC].samples == 0);
}

static void a_row_has_sums_by_kind(void **state)
{
    (void)state;
    in_child(sums_body);
}

static void *probe_in_thread(void *unused)
{
    struct malloctap_thread_slot *slot = claim();
    CHECK(slot != NULL && slot->cpu_ns == 0);
    slot->cpu_ns = 1000;
    add(slot, MALLOCTAP_PROBE_FAST, slot->thread, 0);
    CHECK(row_of(slot)->ops[MALLOCTAP_OP_FREE].samples == 1);
    return unused;
}

/* Far more threads than have slots: rows are reused with them, and nothing is counted twice or
 * taken over from who had the slot before. */
static void reuse_body(void)
{
    enum { THREADS = 3000 };
    recording_open(false, false, "");
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, probe_in_thread, NULL) == 0);
        pthread_join(thread, NULL);
    }
    const struct malloctap_latency *folded = folded_row();
    uint64_t samples = folded->ops[MALLOCTAP_OP_FREE].samples;
    uint64_t longest = folded->ops[MALLOCTAP_OP_FREE].max_ns;
    double weight = folded->ops[MALLOCTAP_OP_FREE].weight[MALLOCTAP_PROBE_FAST];
    uint64_t slots = area_used(area_of(MALLOCTAP_EXTENT_THREADS)) / MALLOCTAP_THREAD_SLOT_SIZE;
    CHECK(samples > 0 && folded->thread == 0 && longest <= THREADS);
    for (uint64_t i = 0; i < slots; i++) {
        const struct malloctap_latency *row =
            row_of(area_at(area_of(MALLOCTAP_EXTENT_THREADS), i * MALLOCTAP_THREAD_SLOT_SIZE));
        samples += row->ops[MALLOCTAP_OP_FREE].samples;
        weight += row->ops[MALLOCTAP_OP_FREE].weight[MALLOCTAP_PROBE_FAST];
    }
    CHECK(samples == THREADS && weight == 10.0 * THREADS);
    CHECK(area_used(area_of(MALLOCTAP_EXTENT_LATENCY)) < 1200 * sizeof *folded);
}

static void rows_go_with_their_slots(void **state)
{
    (void)state;
    in_child(reuse_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_those_of_the_format),
        cmocka_unit_test(a_row_has_sums_by_kind),
        cmocka_unit_test(rows_go_with_their_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
