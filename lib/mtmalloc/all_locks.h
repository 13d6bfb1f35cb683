/* SPDX-License-Identifier: MIT */
/* all_locks.h - every lock of the heap at once, in order of rank (lock.h). The heap must be ready.
 */
#ifndef MTMALLOC_ALL_LOCKS_H
#define MTMALLOC_ALL_LOCKS_H

void mt_all_locks_acquire(void);
void mt_all_locks_release(void);

#endif
