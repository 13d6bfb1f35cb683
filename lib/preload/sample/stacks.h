/* SPDX-License-Identifier: MIT */
/* stacks.h - the call stacks of recorded calls: the process's tables, the thread's memory. */
#ifndef PRELOAD_STACKS_H
#define PRELOAD_STACKS_H

#include <stack/caller.h>
#include <thread/thread.h>

/* Prepare to take stacks: for the constructor, as it may open a library. */
void stacks_open_walker(bool may_ask_kernel);

/* The id of the calling thread's stack in the depot; 0: none. */
uint32_t stacks_take(struct thread *thread);

/* The same, for a thread that takes one at every call: what has not changed since the last time is
 * not walked again. */
uint32_t stacks_take_joined(struct thread *thread, const struct stack_caller *caller);

/* What it remembers may have been left half changed: it begins with nothing. */
void stacks_forget(struct thread *thread);

/* The thread ends: give back what it remembers. */
void stacks_leave(struct thread *thread);

bool stacks_wipe_on_fork(void);
void stacks_wipe(void);

#endif
