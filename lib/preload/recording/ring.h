/* SPDX-License-Identifier: MIT */
/*
 * ring.h - records, in chunks that one thread owns at a time.
 *
 * A thread claims a chunk with one atomic operation and fills it alone; each record is published by
 * a release store of the chunk's `committed`. When the ring may not grow further, the oldest sealed
 * chunk is taken over and its records are counted as overwritten; a chunk in use is never taken.
 */
#ifndef PRELOAD_RING_H
#define PRELOAD_RING_H

#include <malloctap/recording.h>
#include <thread/thread.h>

#include <stdbool.h>

/* Append a record (its head.length bytes) of this moment on behalf of the calling thread. False
 * when there is no space: counted. */
bool ring_append(struct thread *thread, const struct malloctap_record *record, uint64_t ticks);

/* The thread is done with its chunk: others may take it over. */
void ring_release(struct thread *thread);

bool ring_wipe_on_fork(void);
void ring_wipe(void);

#endif
