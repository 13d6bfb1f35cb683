/* SPDX-License-Identifier: MIT */
/*
 * reader.h - read a recording, live or finished, without trusting a byte of it.
 *
 * Every offset, size and count in the file is checked against the file before use; whatever is wrong
 * becomes an error that says what, where and what to do. Functions that can fail return 0 or -1 and
 * fill in `error` (which may be NULL). A recording object is used by one thread at a time; different
 * objects are independent. A live recording may be read while it is written: call
 * malloctap_recording_refresh() to see what was added since it was opened.
 */
#ifndef MALLOCTAP_READER_H
#define MALLOCTAP_READER_H

#include "recording.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct malloctap_recording;

/* One line, no newline: "FILE: what is wrong (where); what to do". */
struct malloctap_error {
    char text[512];
};

int malloctap_recording_open(const char *path, struct malloctap_recording **ret,
                             struct malloctap_error *error);
void malloctap_recording_close(struct malloctap_recording *recording);

/* Take a new look at a live recording: header, extents that were added. Pointers and views handed
 * out before remain valid until close. */
int malloctap_recording_refresh(struct malloctap_recording *recording,
                                struct malloctap_error *error);

/* A validated copy of the header as of the last open or refresh: strings end in NUL, the extents
 * listed lie within the file. Valid until the next refresh or close. */
const struct malloctap_header *
malloctap_recording_header(const struct malloctap_recording *recording);

const char *malloctap_recording_path(const struct malloctap_recording *recording);

/* Convert a point in the recording's clock to nanoseconds since the recording began (0 if before). */
uint64_t malloctap_recording_ns(const struct malloctap_recording *recording, uint64_t ticks);

/* Nanoseconds from start to end; of an unfinished recording: to the last thing seen in it. */
uint64_t malloctap_recording_duration_ns(struct malloctap_recording *recording);

/* True when the process never finished its recording and is gone: it was killed or called _exit. */
bool malloctap_recording_orphaned(const struct malloctap_recording *recording);

/* ---- threads and counters ------------------------------------------------------------------ */

/* Copy the next used slot at or after *position (start with 0) and advance *position. Returns false
 * at the end. Slots already folded into the exited totals are skipped. */
bool malloctap_recording_next_thread(const struct malloctap_recording *recording, uint64_t *position,
                                     struct malloctap_thread_slot *ret);

/* Threads whose slots were reused: their summed counters; returns how many there are. */
uint64_t malloctap_recording_exited(const struct malloctap_recording *recording,
                                    struct malloctap_counters *ret);

/* Counters of the whole process: every slot, the exited threads and calls without a slot. */
void malloctap_recording_totals(const struct malloctap_recording *recording,
                                struct malloctap_counters *ret);

/* Number of calls of one operation in a set of counters (MALLOCTAP_OP_FREE included). */
uint64_t malloctap_counters_calls(const struct malloctap_counters *counters, enum malloctap_op op);
void malloctap_counters_add(struct malloctap_counters *to, const struct malloctap_counters *from);

/* ---- stacks and modules -------------------------------------------------------------------- */

/* Frames of a stack, innermost first, as an array in the mapping. False: no such stack. */
struct malloctap_frames {
    const uint64_t *frames;
    uint32_t count;
    uint32_t flags; /* MALLOCTAP_STACK_... */
};
bool malloctap_recording_stack(const struct malloctap_recording *recording, uint32_t id,
                               struct malloctap_frames *ret);

/* Copy module `id` (from 1). False: no such module or not committed yet. */
bool malloctap_recording_module(const struct malloctap_recording *recording, uint32_t id,
                                struct malloctap_module *ret);

/* Number of modules committed so far; ids run from 1 to it. */
uint32_t malloctap_recording_module_count(const struct malloctap_recording *recording);

/* ---- records ------------------------------------------------------------------------------- */

/* A record with the thread it belongs to. `record` points into a private copy of its chunk, 8-byte
 * aligned, `record->length` bytes long and at least as long as its kind demands; it is valid until
 * the next call on the cursor. */
struct malloctap_event {
    const struct malloctap_record *record;
    uint64_t thread; /* malloctap_thread_slot.thread */
    uint32_t tid;
};

struct malloctap_cursor;

/* Walk all records, chunk by chunk in order of claim; within a chunk, and so within a thread, in
 * order of time; across threads only roughly. Memory use is one chunk. */
int malloctap_cursor_open(const struct malloctap_recording *recording, struct malloctap_cursor **ret,
                          struct malloctap_error *error);

/* 1: *ret holds the next record. 0: no more. -1: damaged (the rest of that chunk is skipped by the
 * next call, which goes on). */
int malloctap_cursor_next(struct malloctap_cursor *cursor, struct malloctap_event *ret,
                          struct malloctap_error *error);
void malloctap_cursor_close(struct malloctap_cursor *cursor);

/* ---- locks --------------------------------------------------------------------------------- */

/* Copy lock row `index` (from 0). False at the end, or where the backend has no such statistics. */
bool malloctap_recording_lock(const struct malloctap_recording *recording, uint32_t index,
                              struct malloctap_lock_row *ret);

#ifdef __cplusplus
}
#endif

#endif
