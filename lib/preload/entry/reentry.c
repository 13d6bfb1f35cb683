/* SPDX-License-Identifier: MIT */
#include "reentry.h"

#include <backend/backend.h>
#include <thread/thread.h>

#include <stdint.h>
#include <stdlib.h>

/* The backend's own functions where `backend` holds one of those below. */
static struct backend marked;

/* What a thread was at before; thread NULL: it has no state, or is marked already. */
struct before {
    struct thread *thread;
    uint64_t limit;
    uint32_t busy;
};

static struct before mark(void)
{
    struct thread *thread = thread_current();
    struct before before = {thread, thread->limit, thread->busy};
    if (before.limit == LIMIT_UNKNOWN || before.busy == THREAD_INSIDE)
        return (struct before){0};
    thread->busy = THREAD_INSIDE;
    if (!thread_change_limit(thread, before.limit, LIMIT_SLOW))
        return (struct before){0};
    return before;
}

static void unmark(struct before before)
{
    if (before.thread == NULL)
        return;
    before.thread->busy = before.busy;
    thread_change_limit(before.thread, LIMIT_SLOW, before.limit);
}

#define ALLOCATION(name, parameters, arguments)                                                    \
    static void *marked_##name parameters                                                          \
    {                                                                                              \
        struct before before = mark();                                                             \
        void *obtained = marked.name arguments;                                                    \
        unmark(before);                                                                            \
        return obtained;                                                                           \
    }
ALLOCATION(calloc, (size_t count, size_t size), (count, size))
ALLOCATION(realloc, (void *block, size_t size), (block, size))
ALLOCATION(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
ALLOCATION(memalign, (size_t alignment, size_t size), (alignment, size))
ALLOCATION(valloc, (size_t size), (size))
ALLOCATION(pvalloc, (size_t size), (size))
#undef ALLOCATION

static int marked_posix_memalign(void **ret, size_t alignment, size_t size)
{
    struct before before = mark();
    int status = marked.posix_memalign(ret, alignment, size);
    unmark(before);
    return status;
}

void reentry_init(void)
{
    if (!backend_identity.calls_public || marked.calloc != NULL)
        return;
    marked = backend;
    backend.calloc = marked_calloc;
    backend.realloc = marked_realloc;
    backend.posix_memalign = marked_posix_memalign;
    backend.aligned_alloc = marked_aligned_alloc;
    backend.memalign = marked_memalign;
    backend.valloc = marked_valloc;
    backend.pvalloc = marked_pvalloc;
}
