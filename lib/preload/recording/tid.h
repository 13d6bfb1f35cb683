/* SPDX-License-Identifier: MIT */
/*
 * tid.h - the kernel's number of the calling thread, without asking the kernel.
 *
 * A program may have forbidden itself gettid() since it started (seccomp), on pain of death. The C
 * library keeps the number in the thread's own block, because the kernel clears it there at the
 * end; where that is, is asked once at the start.
 */
#ifndef PRELOAD_TID_H
#define PRELOAD_TID_H

#include <stdint.h>

/* To be called once in the initial thread, before the program's own code runs. */
void tid_init(void);

/* To be called by a fork child: a raw clone leaves the parent's number in the block. */
void tid_recheck(void);

uint32_t tid_current(void);

#endif
