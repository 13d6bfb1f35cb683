/* SPDX-License-Identifier: MIT */
/* costs.h - what a recording says that calls to the allocator cost. */
#ifndef TOOLS_COSTS_H
#define TOOLS_COSTS_H

#include "measures.h"
#include "output.h"

/*
 * Add up the recordings of one run, those of children included: calls, bytes requested, and the
 * time inside the allocator and waiting for it as estimated from probed samples. The times stay
 * unknown where no sample was probed, or where samples were lost or overwritten.
 */
void costs_take(const struct output_recordings *recordings, struct measures *ret);

#endif
