/* SPDX-License-Identifier: MIT */
/*
 * area.h - space in the recording for the stack side: depot and modules.
 *
 * Lock-free, async-signal-safe, never through the process's allocator. All space is allocated on
 * disk before it is handed out, so writing to it cannot fault.
 */
#ifndef PRELOAD_RECORDING_AREA_H
#define PRELOAD_RECORDING_AREA_H

#include <malloctap/recording.h>

/* Space for one stack of `frames` frames, zeroed; its id (never 0) in *id. NULL when there is no
 * space: the loss is counted. */
struct malloctap_stack *area_stack_alloc(uint32_t frames, uint32_t *id);

/* The stack with this id, as returned by area_stack_alloc() in this process. */
const struct malloctap_stack *area_stack(uint32_t id);

/* Space for one module, zeroed; its id (1 ... 65535) in *id. NULL when there is none: counted. */
struct malloctap_module *area_module_alloc(uint32_t *id);

/* Now, in the recording's clock. */
uint64_t area_ticks(void);

#endif
