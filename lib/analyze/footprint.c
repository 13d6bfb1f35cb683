/* SPDX-License-Identifier: MIT */
#include "footprint.h"

#include "live.h"

struct reading {
    const struct malloctap_recording *recording;
    struct footprints *footprints;
    struct live live; /* owner: bytes held for the block beyond those requested */
    bool usable;      /* the backend said what it holds for a block */
    bool inherited;   /* the kernel's peak is larger than the process's own: an earlier program's */
};

static struct footprint sum_up(struct reading *reading, uint64_t ticks, uint64_t rss_bytes)
{
    struct footprint footprint = {
        .at_ns = malloctap_recording_ns(reading->recording, ticks),
        .rss_bytes = rss_bytes,
        .rounding_known = reading->usable,
    };
    const struct live_block *block;
    live_settle(&reading->live);
    for (size_t position = 0; (block = live_next(&reading->live, &position));) {
        estimate_add_sample(&footprint.requested, block->weight, (double)block->size);
        estimate_add_sample(&footprint.rounding, block->weight, (double)block->owner);
    }
    return footprint;
}

/* Resident memory is known to the samples only as the highest it ever was. */
static void look_for_peak(struct reading *reading, const struct malloctap_sample *sample)
{
    uint64_t peak = malloctap_recording_header(reading->recording)->peak_rss_bytes;
    uint64_t seen = sample->peak_rss_kib * UINT64_C(1024);
    reading->inherited |= seen > peak + peak / 100;
    if (peak && seen >= peak - peak / 100 && !reading->footprints->peak.rss_bytes)
        reading->footprints->peak = sum_up(reading, sample->ticks, peak);
}

static void take(struct reading *reading, const struct malloctap_event *event)
{
    const struct malloctap_sample *sample = (const void *)event->record;
    uint64_t beyond = 0;
    if (event->record->kind == MALLOCTAP_RECORD_ALLOC) {
        reading->usable |= sample->usable != 0;
        beyond = sample->usable > sample->size ? sample->usable - sample->size : 0;
    }
    live_event(&reading->live, event, beyond < LIVE_NOT_ASKED ? (uint32_t)beyond : 0);
    if (event->record->kind != MALLOCTAP_RECORD_FREED)
        look_for_peak(reading, sample);
}

/* False: not all of the records could be read. */
static bool read_events(struct reading *reading)
{
    struct malloctap_merge *merge;
    struct malloctap_event event;
    int status;
    if (malloctap_merge_open(reading->recording, 0, UINT64_MAX, &merge, NULL) < 0)
        return false;
    while ((status = malloctap_merge_next(merge, &event, NULL)) > 0 && !event.logged)
        take(reading, &event);
    malloctap_merge_close(merge);
    return status == 0;
}

void footprints_read(const struct malloctap_recording *recording, struct footprints *ret)
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    struct reading reading = {.recording = recording, .footprints = ret};
    *ret = (struct footprints){0};
    if (header->overwritten_until || header->lost_since || malloctap_recording_switched(recording))
        return;
    bool complete = read_events(&reading) && reading.live.sampled && !reading.live.untracked;
    if (complete && header->rss_bytes)
        ret->end = sum_up(&reading, header->end_ticks, header->rss_bytes);
    if (!complete || reading.inherited)
        ret->peak = (struct footprint){0};
    live_deinit(&reading.live);
}
