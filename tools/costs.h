/* SPDX-License-Identifier: MIT */
/* costs.h - what the recordings of a run say of it. */
#ifndef TOOLS_COSTS_H
#define TOOLS_COSTS_H

#include "measures.h"
#include "output.h"

/*
 * Add to what the kernel has measured of a run what its recordings say, those of children included:
 * calls, bytes requested, processes and their memory, and the time inside the allocator and waiting
 * for it as estimated from probed calls. Times are NaN where hardly a call was probed or many were
 * lost; waiting also where the kernel could not be asked; locks where the allocator does not count
 * them. Returns whether many were lost.
 */
bool costs_take(const struct output_recordings *recordings, struct measures *ret);

#endif
