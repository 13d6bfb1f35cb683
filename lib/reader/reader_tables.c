/* SPDX-License-Identifier: MIT */
/* reader_tables.c - the areas that are plain arrays: loaded modules, latencies, allocator locks. */
#include "reader_recording.h"

#include <inttypes.h>
#include <math.h>

#include <string.h>

#define MODULE_ID_MAX UINT16_MAX /* what a frame has room for */
#define MODULES_AT_ONCE 16u

bool malloctap_recording_module(const struct malloctap_recording *recording, uint32_t id,
                                struct malloctap_module *ret)
{
    uint32_t committed;
    uint64_t offset = (uint64_t)(id - 1) * sizeof(*ret);
    if (id == 0 || id > MODULE_ID_MAX ||
        !reader_area_read(recording, MALLOCTAP_EXTENT_MODULES, offset, &committed,
                          sizeof(committed)) ||
        committed != 1)
        return false;
    reader_file_order(); /* `committed` is stored last, with release */
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_MODULES, offset, ret, sizeof(*ret)))
        return false;
    ret->path[sizeof(ret->path) - 1] = '\0';
    if (ret->build_id_size > sizeof(ret->build_id))
        ret->build_id_size = 0;
    return true;
}

uint32_t malloctap_recording_module_count(const struct malloctap_recording *recording)
{
    struct malloctap_module modules[MODULES_AT_ONCE];
    uint64_t capacity = reader_area_size(recording, MALLOCTAP_EXTENT_MODULES) / sizeof(*modules);
    if (capacity > MODULE_ID_MAX)
        capacity = MODULE_ID_MAX;
    uint32_t last = 0;
    for (uint32_t first = 0; first < capacity; first += MODULES_AT_ONCE) {
        uint32_t count = (uint32_t)capacity - first;
        if (count > MODULES_AT_ONCE)
            count = MODULES_AT_ONCE;
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_MODULES,
                              (uint64_t)first * sizeof(*modules), modules,
                              count * sizeof(*modules)))
            break;
        for (uint32_t i = 0; i < count; i++) {
            if (modules[i].committed == 1)
                last = first + i + 1;
        }
    }
    return last;
}

/* ---- latencies ------------------------------------------------------------------------------ */

/* Where row `index` is in the area. False: there are not so many. */
static bool find_latency(const struct malloctap_recording *recording, uint64_t index, uint64_t *ret)
{
    const struct reader_area *area = &recording->layout.areas[MALLOCTAP_EXTENT_LATENCY];
    for (size_t i = 0; i < area->count; i++) {
        uint64_t rows = area->extents[i].size / sizeof(struct malloctap_latency);
        if (index < rows) {
            *ret = area->extents[i].area_offset + index * sizeof(struct malloctap_latency);
            return true;
        }
        index -= rows;
    }
    return false;
}

static bool is_amount(double number)
{
    return isfinite(number) && number >= 0;
}

static bool latency_is_sound(const struct malloctap_latency *row)
{
    bool sound = true;
    for (int op = 0; op < MALLOCTAP_OPS; op++) {
        sound = sound && is_amount(row->ops[op].time_ns) && is_amount(row->ops[op].wait_ns) &&
                is_amount(row->ops[op].time_variance) && is_amount(row->ops[op].wait_variance);
        for (int probe = 0; probe < MALLOCTAP_PROBES; probe++)
            sound = sound && is_amount(row->ops[op].weight[probe]);
        for (unsigned bucket = 0; bucket < MALLOCTAP_LATENCY_BUCKETS; bucket++)
            sound = sound && is_amount(row->ops[op].buckets[bucket]);
    }
    return sound;
}

static bool latency_counts(const struct malloctap_latency *row)
{
    static const struct malloctap_latency unused;
    return row->thread != MALLOCTAP_LATENCY_MOVING && memcmp(row, &unused, sizeof(unused)) != 0;
}

bool malloctap_recording_next_latency(const struct malloctap_recording *recording,
                                      uint64_t *position, struct malloctap_latency *ret)
{
    for (uint64_t offset; find_latency(recording, *position, &offset);) {
        uint64_t index = (*position)++;
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_LATENCY, offset, ret, sizeof(*ret)))
            return false;
        if (!latency_is_sound(ret))
            reader_file_fail(recording->file,
                             "damaged latencies (row %" PRIu64 "); they are left out", index);
        else if (latency_counts(ret))
            return true;
    }
    return false;
}

/* ---- locks ---------------------------------------------------------------------------------- */

bool malloctap_recording_next_lock(const struct malloctap_recording *recording, uint64_t *position,
                                   struct malloctap_lock_row *ret)
{
    uint64_t count = reader_area_size(recording, MALLOCTAP_EXTENT_LOCKS) / sizeof(*ret);
    while (*position < count) {
        uint32_t kind;
        uint64_t offset = (*position)++ * sizeof(*ret);
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_LOCKS, offset, &kind, sizeof(kind)))
            return false;
        reader_file_order(); /* `kind` is stored last, with release */
        if (kind != 0 &&
            reader_area_read(recording, MALLOCTAP_EXTENT_LOCKS, offset, ret, sizeof(*ret)))
            return true;
    }
    return false;
}
