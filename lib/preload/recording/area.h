/* SPDX-License-Identifier: MIT */
/*
 * area.h - space in the recording: arrays that grow by extents while others use them.
 *
 * Lock-free, async-signal-safe, never through the process's allocator. All space is allocated on
 * disk before it is handed out, so writing to it cannot fault. One area grows at a time; a thread
 * that finds another at it does without (the caller counts the loss), but since an area grows ahead
 * of need, that is rare.
 */
#ifndef PRELOAD_RECORDING_AREA_H
#define PRELOAD_RECORDING_AREA_H

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stdint.h>

struct area;

/* The areas of this process, by kind. */
struct area *area_of(enum malloctap_extent_kind kind);

/* Reserve `size` bytes that lie in one extent; their offset in the area in *offset. NULL: no space.
 */
void *area_reserve(struct area *area, uint64_t size, uint64_t *offset);

/* The memory at an offset that was reserved. */
void *area_at(const struct area *area, uint64_t offset);

/* Bytes reserved so far, and where the area must end (0: nowhere). */
uint64_t area_used(const struct area *area);
void area_limit(struct area *area, uint64_t limit);

/* Space for one stack of `frames` frames, zeroed; its id (never 0) in *id. NULL when there is no
 * space: the loss is counted. */
struct malloctap_stack *area_stack_alloc(uint32_t frames, uint32_t *id);

/* The stack with this id, as returned by area_stack_alloc() in this process. */
const struct malloctap_stack *area_stack(uint32_t id);

/* Space for one module, zeroed; its id (1 ... 65535) in *id. NULL when there is none: counted. */
struct malloctap_module *area_module_alloc(uint32_t *id);

/* Now, in the recording's clock. */
uint64_t area_ticks(void);

/* What the recording says of the main program's path, and where the process was at its start, with
 * a slash at the end: asking the kernel now might not be allowed. */
const char *area_executable(void);
const char *area_start_directory(void);

/* Take what a small program needs at once, for one that may soon not be allowed to ask for it. */
void area_begin(void);

/* The calling thread is not extending the file any more, should it have been: it was cut short. */
void area_cut_short(void);

bool area_wipe_on_fork(void);
void area_wipe(void);

#endif
