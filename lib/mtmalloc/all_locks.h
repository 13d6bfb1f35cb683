/* SPDX-License-Identifier: MIT */
/* all_locks.h - every lock of the heap at once, in order of rank (lock.h). */
#ifndef MTMALLOC_ALL_LOCKS_H
#define MTMALLOC_ALL_LOCKS_H

#include <stdbool.h>

/* Once, before there is anything to lock. */
void mt_all_locks_init(void);

/*
 * The heap must be ready. Until the release, which must come from the same thread, that thread may
 * use the allocator: nobody else does. Calls may be nested.
 *
 * Called by a signal handler that interrupted the allocator, it leaves the locks out that its own
 * thread held there, and those whose holders are waiting for them.
 */
void mt_all_locks_acquire(void);
void mt_all_locks_release(void);

/*
 * In a process that a raw clone made without telling: repair what threads of its parent, who are
 * not here, had locked. False: this is no such process, or it has been done, or it has threads of
 * its own by now, who may hold the locks.
 */
bool mt_all_locks_copied(void);

#endif
