/* SPDX-License-Identifier: MIT */
/* repair.h - the heap in a copy of the process, when threads that are not there were changing it.
 */
#ifndef MTMALLOC_REPAIR_H
#define MTMALLOC_REPAIR_H

/*
 * Make every lock free that is not this thread's, and whole what it guards. By the only thread.
 * What cannot be told is given up: blocks that were just being taken or returned, statistics of
 * caches that were locked, and all free oversize blocks if their lock was.
 */
void mt_repair(void);

#endif
