/* SPDX-License-Identifier: MIT */
/*
 * log.h - log mode: every call becomes an event in its thread's chunk.
 *
 * The caller counts and forwards the call; these record it, in the order that sample.h describes. A
 * realloc is one event that carries both moments. errno is for the caller to keep.
 */
#ifndef PRELOAD_LOG_H
#define PRELOAD_LOG_H

#include <backend/call.h>
#include <thread/thread.h>

/* Log an allocation that returned `block`, which is not a realloc. */
void log_new(struct thread *thread, enum malloctap_op op, size_t size, const void *block,
             const struct stack_caller *caller);

/* Log any allocation that returned; `failed`: it gave no block though one was asked for; `before`:
 * of a realloc, a moment before it was made. */
void log_allocation(struct thread *thread, const struct call *call, bool failed, uint64_t before);

/* Log a free that is about to happen. */
void log_free(struct thread *thread, const void *block, const struct stack_caller *caller);

#endif
