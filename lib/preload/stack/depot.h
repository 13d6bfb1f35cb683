/* SPDX-License-Identifier: MIT */
/* depot.h - each distinct stack once in the recording, named by its id. */
#ifndef PRELOAD_STACK_DEPOT_H
#define PRELOAD_STACK_DEPOT_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * The id of the stack with these frames and flags, stored now if it is new; 0 when it could not be
 * stored. Lock-free; `index` is the process's table. Two threads that meet a new stack at the same
 * moment may store it twice, but agree on the id from then on.
 */
uint32_t depot_intern(_Atomic(void *) *index, const uint64_t *frames, uint32_t count,
                      uint32_t flags);

#endif
