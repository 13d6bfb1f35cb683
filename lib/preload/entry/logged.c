/* SPDX-License-Identifier: MIT */
#include "logged.h"

#include <backend/backend.h>
#include <log/log.h>
#include <sample/orders.h>

#include <errno.h>

/* Each of the two is one piece of code but for the walk: half a dozen calls from module to module
 * would take a tenth of it. */
#define WHOLE __attribute__((flatten))

/* The limit, which sends every call the slow way, need not change meanwhile. */
static always_inline void begin(struct thread *thread, const struct stack_caller *caller)
{
    thread->busy_sp = caller->sp;
    thread->busy = THREAD_BUSY;
}

static always_inline void end(struct thread *thread)
{
    thread->busy = THREAD_IDLE;
    if (unlikely(orders_changed(thread))) {
        uint64_t limit = orders_next_limit(thread);
        thread->spent = 0;
        thread_change_limit(thread, LIMIT_SLOW, limit);
    }
}

WHOLE void *logged_alloc(struct thread *thread, enum malloctap_op op, size_t size, void *block,
                         struct stack_caller caller)
{
    int error = errno;
    begin(thread, &caller);
    count_alloc(thread_counters(), op, size);
    if (unlikely(block == NULL))
        count_failure(thread_counters(), op, size);
    log_new(thread, op, size, block, &caller);
    end(thread);
    errno = error;
    return block;
}

WHOLE void logged_free(struct thread *thread, void *block, struct stack_caller caller)
{
    int error = errno;
    begin(thread, &caller);
    count_free(thread_counters());
    log_free(thread, block, &caller);
    end(thread);
    errno = error;
    backend.free(block);
}
