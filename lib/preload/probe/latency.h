/* SPDX-License-Identifier: MIT */
/*
 * latency.h - histograms of what probed calls took, a row in the recording for each thread.
 *
 * A thread gets its row at its first probed call, and writes it alone with plain stores. When its
 * slot is given to another thread, the row is added to that of all such threads, and goes with the
 * slot.
 */
#ifndef PRELOAD_LATENCY_H
#define PRELOAD_LATENCY_H

#include "probe.h"

#include <malloctap/recording.h>

/* Add a call of the thread with this slot; `weight` is that of its sample. */
void latency_add(struct malloctap_thread_slot *slot, enum malloctap_op op, double weight,
                 const struct probe *probe);

/* The thread with this slot is dead and its counters are about to be folded. One at a time. */
void latency_fold(const struct malloctap_thread_slot *slot);

/* The bucket for a time. */
unsigned latency_bucket(uint64_t time_ns);

#endif
