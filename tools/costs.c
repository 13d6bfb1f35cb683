/* SPDX-License-Identifier: MIT */
#include "costs.h"

#include <malloctap/reader.h>

#include <math.h>
#include <stdbool.h>

struct times {
    double alloc_ns;
    double wait_ns;
    bool probed; /* one sample was */
    bool lost;   /* some are missing, so that the sums are too small */
};

static void times_add(struct times *times, const struct malloctap_record *record)
{
    if (record->kind != MALLOCTAP_RECORD_ALLOC && record->kind != MALLOCTAP_RECORD_FREE)
        return;
    const struct malloctap_sample *sample = (const struct malloctap_sample *)record;
    if (!sample->probe)
        return;
    times->probed = true;
    times->alloc_ns += sample->weight * (double)sample->time_ns;
    times->wait_ns += sample->weight * (double)sample->wait_ns;
}

static void recording_times(const char *path, struct times *times)
{
    struct malloctap_recording *recording;
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    if (malloctap_recording_open(path, &recording, NULL)) {
        times->lost = true;
        return;
    }
    const struct malloctap_losses *lost = &malloctap_recording_header(recording)->lost;
    struct malloctap_counters totals;
    malloctap_recording_totals(recording, &totals);
    times->lost |= lost->records_overwritten || lost->records_no_space || totals.samples_lost;
    if (malloctap_cursor_open(recording, &cursor, NULL) == 0) {
        int more;
        while ((more = malloctap_cursor_next(cursor, &event, NULL)) != 0) {
            if (more > 0)
                times_add(times, event.record);
            times->lost |= more < 0;
        }
        malloctap_cursor_close(cursor);
    } else {
        times->lost = true;
    }
    malloctap_recording_close(recording);
}

void costs_take(const struct output_recordings *recordings, struct measures *ret)
{
    struct times times = {0};
    double calls = 0, bytes = 0;
    for (size_t i = 0; i < recordings->count; i++) {
        const struct output_recording *row = &recordings->rows[i];
        calls += (double)row->calls;
        bytes += (double)row->bytes_requested;
        recording_times(row->path, &times);
    }
    bool known = times.probed && !times.lost;
    ret->value[MEASURE_calls] = calls;
    ret->value[MEASURE_bytes_requested] = bytes;
    ret->value[MEASURE_alloc_ns] = known ? times.alloc_ns : NAN;
    ret->value[MEASURE_wait_ns] = known ? times.wait_ns : NAN;
}
