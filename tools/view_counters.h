/* SPDX-License-Identifier: MIT */
/* view_counters.h - exact counters and losses: what several views say in the same words. */
#ifndef TOOLS_VIEW_COUNTERS_H
#define TOOLS_VIEW_COUNTERS_H

#include "emit.h"
#include "estimate.h"

#include <malloctap/reader.h>

/* The counters that threads and totals have as columns, in this order. */
#define VIEW_COUNTERS(X)                                                                           \
    X(malloc, malloctap_counters_calls(counters, MALLOCTAP_OP_MALLOC))                             \
    X(calloc, malloctap_counters_calls(counters, MALLOCTAP_OP_CALLOC))                             \
    X(realloc, malloctap_counters_calls(counters, MALLOCTAP_OP_REALLOC))                           \
    X(aligned, malloctap_counters_calls(counters, MALLOCTAP_OP_ALIGNED))                           \
    X(free, malloctap_counters_calls(counters, MALLOCTAP_OP_FREE))                                 \
    X(failed, view_failed(counters))                                                               \
    X(bytes_requested, view_bytes(counters))

uint64_t view_failed(const struct malloctap_counters *counters); /* calls of any operation */
uint64_t view_bytes(const struct malloctap_counters *counters);  /* requested and obtained */
uint64_t view_calls(const struct malloctap_counters *counters);  /* of every operation */

/* Add VIEW_COUNTERS to a JSON object. */
void view_counters_add(json_object *object, const struct malloctap_counters *counters);

/* Print "nothing", or what was lost and how often, separated by semicolons. */
void view_lost_text(const struct malloctap_recording *recording, FILE *out);
json_object *view_lost_json(const struct malloctap_recording *recording);

/* Calls that left no record for want of space or otherwise, up to a moment: nanoseconds from the
 * start. What a bounded ring overwrote is not among them. */
uint64_t view_unrecorded(const struct malloctap_recording *recording, uint64_t until_ns);

/* Calls that a killed program may have counted and not recorded yet: one in each of its threads, or
 * in the one with that number. */
uint64_t view_under_way(const struct malloctap_recording *recording, uint32_t tid);

/* Calls that were counted, but for those under way, beyond `logged` ones; frees of NULL do not
 * count. 0 while the program runs: counters are ahead of what was read. */
uint64_t view_uncovered(const struct malloctap_recording *recording, uint64_t logged);

/* Says, where what is recorded was switched while the program ran, what that means: for calls, or
 * for which blocks are live. */
void view_switched_text(const struct malloctap_recording *recording, bool live, FILE *out);

/* "1.2 s ± 0.1 s": an estimate with one standard error, as `figure` prints it; without an error
 * where nothing is estimated. */
struct view_estimate {
    char text[2 * sizeof(struct emit_text) + 8];
};
struct view_estimate view_estimate(struct estimate estimate, struct emit_text (*figure)(double));

const char *view_op_name(enum malloctap_op op);
const char *view_mode_name(uint32_t mode);

/* "finished", "running" or "killed": how the recording ended, if it did. */
const char *view_state_name(const struct malloctap_recording *recording);

#endif
