/* SPDX-License-Identifier: MIT */
/*
 * footprint.h - what a process's memory is used for: what it asked for, what the allocator made of
 * it, and what is resident beside that.
 */
#ifndef ANALYZE_FOOTPRINT_H
#define ANALYZE_FOOTPRINT_H

#include "estimate.h"

#include <malloctap/reader.h>

/* At one moment. Of live blocks, estimated from the sampled ones; rss_bytes is exact. */
struct footprint {
    uint64_t at_ns;            /* since the recording's start */
    uint64_t rss_bytes;        /* resident memory of the process; 0: nothing here is known */
    struct estimate requested; /* bytes asked for */
    struct estimate rounding;  /* bytes that the backend holds for them beyond that */
    bool rounding_known;
};

struct footprints {
    struct footprint peak; /* when resident memory came within 1 % of its peak */
    struct footprint end;
};

/*
 * Both stay unknown where blocks were not sampled all the time (a log, a mode that was switched),
 * or where records of them were lost or cannot be read, or the end of some would have gone unseen.
 * Memory for each sampled block that is live.
 */
void footprints_read(const struct malloctap_recording *recording, struct footprints *ret);

#endif
