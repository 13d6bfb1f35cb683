/* SPDX-License-Identifier: MIT */
/* view_summary_facts.h - what a summary says, before it is text or JSON. */
#ifndef TOOLS_VIEW_SUMMARY_FACTS_H
#define TOOLS_VIEW_SUMMARY_FACTS_H

#include "footprint.h"
#include "statistics.h"
#include "view_locks.h"
#include "view_stacks.h"
#include "view_threads.h"

/* An estimate of waiting with its 95 % interval; NaN: not known, or none was seen. */
struct waited {
    double estimate, low, high;
};

struct summary {
    struct malloctap_recording *recording;
    const struct malloctap_header *header;
    uint64_t duration_ns;
    double calls_per_second; /* NaN: no duration */
    struct view_threads threads;
    struct estimate allocator_share; /* of the threads' time; NaN: not measured */
    struct estimate wait_share;
    double off_share;           /* of that time, off the processor at most */
    double off_ns;              /* infinite: of some threads it is not known */
    struct waited waited_share; /* no more than that, whatever is estimated; the same in */
    struct waited waited_ns;    /* nanoseconds, of threads that ended long ago, too */
    struct view_stacks hottest; /* of the allocating side, by calls */
    bool has_hottest;
    struct malloctap_error no_hottest; /* else why not */
    struct view_stacks cost;           /* of both sides: functions by waiting, classes of calls */
    bool has_cost;                     /* false: of no call it is known whether it waited */
    const struct ranking_row *wait_function; /* most waiting lies under it; NULL: no such */
    struct footprints memory;
    struct view_locks locks;
};

void summary_create(struct malloctap_recording *recording, struct summary *ret);
void summary_destroy(struct summary *summary);

/* Lines of the text: time and waiting, memory. */
void summary_print_cost(const struct summary *summary, FILE *out);
void summary_print_memory(const struct summary *summary, FILE *out);

void summary_print_json(const struct summary *summary, FILE *out);
void summary_print_csv(const struct summary *summary, FILE *out);

#endif
