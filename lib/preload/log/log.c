/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <compiler.h>
#include <config/config.h>
#include <recording/event.h>
#include <recording/recording.h>
#include <recording/ring.h>
#include <sample/stacks.h>

static always_inline void append(struct thread *thread, const struct log_event *event)
{
    struct malloctap_thread_slot *slot = thread_storage.slot;
    struct malloctap_chunk *chunk =
        ring_chunk(&thread->ring, slot, MALLOCTAP_CHUNK_LOG, MALLOCTAP_LOG_EVENT_MAX, event->ticks);
    if (unlikely(chunk == NULL)) {
        counter_add(&slot->counters.samples_lost, 1);
        return;
    }
    if (unlikely(chunk->committed == 0))
        thread->log_base = (struct log_base){.ticks = chunk->first_ticks};
    uint32_t size = log_encode(event, &thread->log_base, ring_tail(chunk));
    counter_add(&slot->counters.samples, 1);
    ring_commit(&thread->ring, slot, chunk, size, event->ticks + event->duration);
}

void log_new(struct thread *thread, enum malloctap_op op, size_t size, const void *block,
             const struct stack_caller *caller)
{
    struct log_event event = {
        .op = op,
        .failed = block == NULL,
        .ticks = recording_ticks(),
        .address = (uintptr_t)block,
        .size = size,
    };
    event.stack = stacks_take_joined(thread, caller);
    append(thread, &event);
}

void log_allocation(struct thread *thread, const struct call *call, bool failed, uint64_t before)
{
    uint64_t now = recording_ticks();
    bool resized = call->op == MALLOCTAP_OP_REALLOC;
    struct log_event event = {
        .op = call->op,
        .failed = failed,
        .stack = stacks_take_joined(thread, &call->caller),
        .ticks = resized ? before : now,
        .address = (uintptr_t)call->result,
        .size = call->size,
        .old = (uintptr_t)call->block,
        .duration = resized ? now - before : 0,
    };
    append(thread, &event);
}

void log_free(struct thread *thread, const void *block, const struct stack_caller *caller)
{
    struct log_event event = {
        .op = MALLOCTAP_OP_FREE,
        .failed = block == NULL,
        .stack = config.free_stacks ? stacks_take_joined(thread, caller) : 0,
        .address = (uintptr_t)block,
    };
    event.ticks = recording_ticks();
    append(thread, &event);
}
