/* SPDX-License-Identifier: MIT */
/*
 * reader.h - read a recording, live or finished, without trusting a byte of it.
 *
 * Every offset, size and count in the file is checked against the file before use; whatever is
 * wrong becomes an error that says what, where and what to do. Functions that can fail return 0 or
 * -1 and fill in `error` (which may be NULL). Functions that return false, a number or nothing
 * cannot tell "there is none" from "the file could not be read" (it was truncated, the disk
 * failed): when done, ask malloctap_recording_check() once. A recording object is used by one
 * thread at a time; different objects are independent.
 *
 * A live recording may be read while it is written. Counters, stacks, modules and locks are read
 * anew by each call; call malloctap_recording_refresh() to see a new header and the parts of the
 * file that were added since.
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

/* Take a new look at a live recording: header, extents that were added. Stacks handed out before
 * and open cursors remain valid. Where it fails, the recording stays as it was. */
int malloctap_recording_refresh(struct malloctap_recording *recording,
                                struct malloctap_error *error);

/* 0, or -1 and the first failure to read the file since it was opened. */
int malloctap_recording_check(const struct malloctap_recording *recording,
                              struct malloctap_error *error);

/* A validated copy of the header as of the last open or refresh: strings end in NUL (but may hold
 * any other byte), the extents listed are those of known kinds and lie within the file. The pointer
 * is valid until close. For `exited` and `unslotted` ask the functions below. */
const struct malloctap_header *
malloctap_recording_header(const struct malloctap_recording *recording);

const char *malloctap_recording_path(const struct malloctap_recording *recording);

/* Copy bytes of the recording as its process wrote them, also of a packed one: those at `offset`.
 * Returns how many, which is less than `size` only at the end; -1 where they cannot be read, as
 * malloctap_recording_check() says. */
int64_t malloctap_recording_bytes(const struct malloctap_recording *recording, uint64_t offset,
                                  void *buffer, size_t size);

/* Convert a point in the recording's clock to nanoseconds since the recording began (0 if before).
 */
uint64_t malloctap_recording_ns(const struct malloctap_recording *recording, uint64_t ticks);

/* The first point in the recording's clock that is `ns` nanoseconds or more after its beginning. */
uint64_t malloctap_recording_ticks(const struct malloctap_recording *recording, uint64_t ns);

/* The last one that malloctap_recording_ns() makes `ns` or less of. */
uint64_t malloctap_recording_last_tick(const struct malloctap_recording *recording, uint64_t ns);

/* Nanoseconds from start to end; of a running process: to now, by the wall clock; of an orphaned
 * recording: to the last thing seen in it, which takes a walk over all records. */
uint64_t malloctap_recording_duration_ns(struct malloctap_recording *recording);

/* True when the process never finished its recording and is gone: it was killed, called _exit, or
 * became another program by exec. Also true of a copy of an unfinished recording. */
bool malloctap_recording_orphaned(const struct malloctap_recording *recording);

/* True when the process was told to record something else than at its start, for a while at least,
 * or may have been: calls may be missing that no loss tells of. */
bool malloctap_recording_switched(const struct malloctap_recording *recording);

/* ---- threads and counters ------------------------------------------------------------------ */

/* Copy the next used slot at or after *position (start with 0) and advance *position. Returns false
 * at the end. Slots already folded into the exited totals are skipped. The counters of a thread
 * that runs are each exact, at slightly different moments. */
bool malloctap_recording_next_thread(const struct malloctap_recording *recording,
                                     uint64_t *position, struct malloctap_thread_slot *ret);

/* Threads whose slots were reused: their summed counters; returns how many there are. */
uint64_t malloctap_recording_exited(const struct malloctap_recording *recording,
                                    struct malloctap_counters *ret);

/* Counters of the whole process: every slot, the exited threads and calls without a slot. Each call
 * is in it once, also while threads exit and wherever the process was killed. */
void malloctap_recording_totals(const struct malloctap_recording *recording,
                                struct malloctap_counters *ret);

/* Number of calls of one operation in a set of counters (MALLOCTAP_OP_FREE included). */
uint64_t malloctap_counters_calls(const struct malloctap_counters *counters, enum malloctap_op op);
void malloctap_counters_add(struct malloctap_counters *to, const struct malloctap_counters *from);

/* ---- stacks and modules -------------------------------------------------------------------- */

/* Frames of a stack, innermost first. False: no such stack. The frames are valid until close;
 * looking up the same stack again is a table lookup. */
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

/* The largest id of a module committed so far. An id below it may still be missing. */
uint32_t malloctap_recording_module_count(const struct malloctap_recording *recording);

/* ---- records ------------------------------------------------------------------------------- */

/*
 * A record with the thread it belongs to. `record` is a private copy, 8-byte aligned,
 * `record->length` bytes long and at least as long as its kind demands; it is valid until the next
 * call on the cursor or merge.
 *
 * A call in a log reads as a sample of weight 1: an allocation as ALLOC, a free as FREE, both
 * struct malloctap_sample. A realloc is two records: FREE (op REALLOC) of the old block, as of
 * before it went back, then ALLOC (op REALLOC), as of when the new one was obtained. The first is
 * left out where the old block lives on (the realloc failed) or there was none; in the second
 * `address` is 0 without MALLOCTAP_SAMPLE_FAILED where realloc to size 0 only freed. So in samples
 * and logs alike a call that obtains memory is ALLOC and a call to free is FREE with op FREE. The
 * end of a logged block has no FREED record: it is the FREE of its address that follows in time.
 */
struct malloctap_event {
    const struct malloctap_record *record;
    uint64_t thread; /* malloctap_thread_slot.thread */
    uint64_t old;    /* logged ALLOC with op REALLOC: the block given to realloc, 0 for NULL */
    uint32_t tid;
    bool logged; /* every call of that time is there; otherwise a sample */
};

/* When the record was made, in the recording's clock. */
uint64_t malloctap_record_ticks(const struct malloctap_record *record);

struct malloctap_cursor;

/* Walk all records, chunk by chunk in order of claim; within a chunk, and so within a thread, in
 * order of time; across threads only roughly. Chunks claimed after this call are not walked; those
 * a bounded ring reuses before the cursor comes to them are passed over. Memory use is one chunk
 * and 40 bytes for each chunk in use. Close it before the recording. */
int malloctap_cursor_open(const struct malloctap_recording *recording,
                          struct malloctap_cursor **ret, struct malloctap_error *error);

/* 1: *ret holds the next record. 0: no more. -1: damaged (the rest of that chunk is skipped by the
 * next call, which goes on) or unreadable (the next call returns 0). Records of unknown kinds are
 * passed over; of a known one `op` is an operation and `weight` a finite number, 1 at least. */
int malloctap_cursor_next(struct malloctap_cursor *cursor, struct malloctap_event *ret,
                          struct malloctap_error *error);
void malloctap_cursor_close(struct malloctap_cursor *cursor);

struct malloctap_merge;

/*
 * Walk the records of all threads in order of time, those from `from` to `until` (ticks, both
 * included; 0 and UINT64_MAX: all). Records of one thread keep their order. Of records of several
 * threads at one tick those that end a block (FREE, FREED) come before those that begin one, and
 * otherwise the thread with the lower number is first: a free is stamped before the block can be
 * obtained again, an allocation after. Memory use is one chunk for each thread that has records
 * both before and after the moment, and 40 bytes for each chunk in use; a chunk outside the range
 * is not read. As of the cursor, chunks claimed after this call are not walked. Close it before the
 * recording.
 */
int malloctap_merge_open(const struct malloctap_recording *recording, uint64_t from, uint64_t until,
                         struct malloctap_merge **ret, struct malloctap_error *error);

/* As malloctap_cursor_next(). */
int malloctap_merge_next(struct malloctap_merge *merge, struct malloctap_event *ret,
                         struct malloctap_error *error);
void malloctap_merge_close(struct malloctap_merge *merge);

/* ---- latencies and locks ------------------------------------------------------------------- */

/* Copy the next row of histograms in use at or after *position (start with 0) and advance
 * *position. False at the end, or where no call was probed. Numbers in it are finite and not
 * negative. */
bool malloctap_recording_next_latency(const struct malloctap_recording *recording,
                                      uint64_t *position, struct malloctap_latency *ret);

/* Copy the next lock row in use at or after *position (start with 0) and advance *position. False
 * at the end, or where the backend has no such statistics. */
bool malloctap_recording_next_lock(const struct malloctap_recording *recording, uint64_t *position,
                                   struct malloctap_lock_row *ret);

#ifdef __cplusplus
}
#endif

#endif
