/* SPDX-License-Identifier: MIT */
/*
 * lifecycle.h - the life of the tap in a process.
 *
 *   NEW ──first call──► STARTING ──► READY ──destructor──► (still READY; the recording says
 * finished) ▲                                 │ └──────────── fork (memory wiped) ┘   a child
 * begins anew at its first call
 *
 * The constructor only adds what may allocate or open libraries: the stack walker, the notice of
 * threads' ends. If it never runs, calls are counted all the same.
 */
#ifndef PRELOAD_LIFECYCLE_H
#define PRELOAD_LIFECYCLE_H

#include <thread/thread.h>

#include <stdbool.h>

/* Make this process ready; false while another call is at it. */
bool lifecycle_start(void);

/* The calling thread's state in this process; NULL when it has none yet (see lifecycle_unslotted).
 */
struct thread *lifecycle_thread(void);

/* Whether the kernel may be asked what no allocator asks. */
bool lifecycle_may_ask(void);

/* Counters of calls without a thread state; to be added to atomically. */
struct malloctap_counters *lifecycle_unslotted(void);

#endif
