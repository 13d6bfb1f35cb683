/* SPDX-License-Identifier: MIT */
#include "stacks.h"

#include <config/config.h>
#include <recording/recording.h>
#include <stack/capture.h>
#include <stack/memory.h>
#include <sys.h>
#include <wiped.h>

#include <string.h>

/* In whole pages, so that it can be wiped. */
static struct {
    struct stack_tables tables;
} WIPED stacks;

bool stacks_wipe_on_fork(void)
{
    return wipe_on_fork(&stacks, sizeof stacks);
}

void stacks_wipe(void)
{
    memset(&stacks, 0, sizeof stacks);
}

/* Of this process and its children: what the constructor found. */
static enum stack_walker walker = STACK_WALKER_NONE;

void stacks_open_walker(bool may_ask_kernel)
{
    walker = stack_walker_init(config.walker, may_ask_kernel);
}

static uint32_t noted(uint32_t stack, uint32_t flags)
{
    if (flags & MALLOCTAP_STACK_TRUNCATED)
        counter_add(&thread_counters()->stacks_truncated, 1);
    return stack;
}

uint32_t stacks_take(struct thread *thread)
{
    uint32_t flags = 0;
    if (walker == STACK_WALKER_NONE)
        recording_lost(unwinder_missing, 1);
    /* libunwind may allocate through the hooks: that is not the program's doing. */
    uint64_t limit = thread->limit;
    bool own_calls =
        walker == STACK_WALKER_LIBUNWIND && thread_change_limit(thread, limit, LIMIT_SLOW);
    if (own_calls)
        thread->busy = THREAD_OWN_CALLS;
    uint32_t stack = stack_capture(&stacks.tables, (uint32_t)config.frames, &flags);
    if (own_calls && thread_change_limit(thread, LIMIT_SLOW, limit))
        thread->busy = THREAD_BUSY;
    return noted(stack, flags);
}

/* Memory for the thread's last stack; NULL where there is none to be had. */
static struct stack_memory *memory_of(struct thread *thread)
{
    struct stack_memory *memory = thread->stack_memory;
    if (likely(memory != NULL) || thread_storage.slot->state == MALLOCTAP_THREAD_EXITED)
        return memory;
    memory = sys_map_anonymous(sizeof *memory);
    if (memory == NULL)
        return NULL;
    wipe_on_fork(memory, sizeof *memory);
    thread->stack_memory = memory;
    return memory;
}

uint32_t stacks_take_joined(struct thread *thread, const struct stack_caller *caller)
{
    struct stack_memory *memory = walker == STACK_WALKER_CFI ? memory_of(thread) : NULL;
    if (memory == NULL)
        return stacks_take(thread);
    uint32_t flags = 0;
    uint32_t stack =
        stack_capture_joined(&stacks.tables, caller, memory, (uint32_t)config.frames, &flags);
    return noted(stack, flags);
}

void stacks_forget(struct thread *thread)
{
    struct stack_memory *memory = thread->stack_memory;
    if (memory != NULL)
        memset(memory, 0, sizeof *memory);
}

void stacks_leave(struct thread *thread)
{
    struct stack_memory *memory =
        __atomic_exchange_n(&thread->stack_memory, NULL, __ATOMIC_RELAXED);
    if (memory != NULL)
        sys_unmap(memory, sizeof *memory);
}
