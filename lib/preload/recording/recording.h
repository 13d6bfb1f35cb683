/* SPDX-License-Identifier: MIT */
/*
 * recording.h - this process's recording: the file, its header, and growing it.
 *
 * Space is allocated on disk before it is mapped and handed out, so a full disk is an error here
 * and never a SIGBUS later. No descriptor stays open: to grow, the file is opened again and its
 * identity is checked. Where no file can be had, the recording is plain memory that nobody will
 * read: the program runs on, and it was said once.
 */
#ifndef PRELOAD_RECORDING_H
#define PRELOAD_RECORDING_H

#include <counter.h>
#include <malloctap/recording.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/*
 * Create the recording of this process and fill in its header. `child`: the process was forked from
 * one that had a recording, which is unmapped here for good. `frozen`: the process may forbid
 * itself to open files, so more room is mapped at once, and no more later. `backend_object`: what
 * serves the calls. Called once a process, by its first call.
 */
void recording_open(bool child, bool frozen, const char *backend_object);

/* Where the process was when it started, with a slash at the end; "" when unknown. */
const char *recording_start_directory(void);

/* The header; of memory nobody reads until recording_open() is through. Never NULL. */
struct malloctap_header *recording_header(void);

/* True in a child that was forked in the middle of a call, until its next one opens a recording. */
bool recording_was_wiped(void);

/* Whether there is a file behind it. */
bool recording_in_file(void);

/* Add an extent of `size` bytes (a multiple of 4096): mapped, zeroed, in the directory. Of CHUNKS,
 * each part needs recording_fill() before it is touched. NULL when there is no space; counted.
 * Callers are serialised by area.c. */
void *recording_add_extent(enum malloctap_extent_kind kind, uint64_t size);

/* Allocate part of a CHUNKS extent on disk. False when there is no space. */
bool recording_fill(void *memory, uint64_t size);

/* Part of the recording is not needed in memory for a while; its contents stay. */
void recording_let_go(void *memory, uint64_t size);

/* A record of this moment found no space. */
void recording_lost_record(uint64_t ticks);

/* Now: CLOCK_MONOTONIC in nanoseconds. */
uint64_t recording_now_ns(void);

/*
 * The unit of times in a recording. Finer ones would say nothing: a reading of the clock takes
 * more, and so do the two readings, the record and the allocator's work between a block's end on
 * one thread and its beginning on another, so that their order is never lost. In a packed log, of
 * which most are times, it saves an eighth to a half.
 */
#define RECORDING_TICK_NS 16u

/* Now, in that unit. */
uint64_t recording_ticks(void);

/* The clock_gettime to ask, and which clock; to be set before anything else is called. */
typedef int recording_clock(clockid_t clock, struct timespec *ret);
void recording_use_clock(recording_clock *clock, clockid_t id);

/* Does the clock step finely enough to time a call? One that never enters the kernel or reads the
 * processor's does not. */
bool recording_clock_is_fine(void);

/* The process is at its end. `may_call_system`: whether reading its peak memory from /proc is safe.
 */
void recording_finish(bool may_call_system);

/* Register the wiped state; false if the kernel cannot wipe it. */
bool recording_wipe_on_fork(void);
void recording_wipe(void);

#define recording_lost(field, amount) counter_add_shared(&recording_header()->lost.field, (amount))

#endif
