/* SPDX-License-Identifier: MIT */
/*
 * malloc.c - the malloc family as the program sees it.
 *
 * Each entry point is the fast path from top to bottom: count down, count, forward. Whatever else
 * there may be to do is one unlikely branch away in slow.c.
 */
#include "fast.h"
#include "logged.h"
#include "slow.h"

#include <backend/backend.h>
#include <boot/arena.h>

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* C23, not declared by every C library yet. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

static cold void *failed(enum malloctap_op op, size_t size)
{
    count_failure(thread_counters(), op, size);
    return NULL;
}

/* What the backend returned to a call that was counted on the fast path. */
static always_inline void *returned(enum malloctap_op op, size_t size, void *block)
{
    return likely(block != NULL) ? block : failed(op, size);
}

/* ---- malloc and free ------------------------------------------------------------------------- */

/* Not cold, though the branch to it is: all calls of a log come here. */

static noinline void *slow_malloc(size_t size)
{
    struct thread *thread = thread_current();
    if (likely(logged_by(thread)))
        return logged_alloc(thread, MALLOCTAP_OP_MALLOC, size, backend.malloc(size),
                            stack_caller());
    struct call call = {CALL_malloc, MALLOCTAP_OP_MALLOC, .size = size, .caller = stack_caller()};
    slow_alloc(&call);
    return call.result;
}

EXPORT void *malloc(size_t size)
{
    if (unlikely(!fast_alloc(MALLOCTAP_OP_MALLOC, size)))
        return slow_malloc(size);
    return returned(MALLOCTAP_OP_MALLOC, size, backend.malloc(size));
}

/* Null has no business at the backend, and a sampled block's neighbour none in the slow path,
 * unless the call is drawn. Null counts as forwarded. */
static bool free_after_all(void *block, enum call_function function, size_t alignment, size_t size)
{
    bool special = block != NULL && (arena_owns(block) || lives_hold(block));
    if (special || !thread_spend(thread_current(), 0))
        return false;
    count_free(thread_counters());
    if (block == NULL)
        counter_add(&thread_counters()->frees_null, 1);
    else if (function == CALL_free)
        backend.free(block);
    else if (function == CALL_free_sized)
        backend.free_sized(block, size);
    else
        backend.free_aligned_sized(block, alignment, size);
    return true;
}

static cold void slow_free_by(enum call_function function, void *block, size_t alignment,
                              size_t size)
{
    if (free_after_all(block, function, alignment, size))
        return;
    slow_free(&(struct call){function, MALLOCTAP_OP_FREE, .size = size, .alignment = alignment,
                             .block = block, .caller = stack_caller()});
}

static noinline void slow_plain_free(void *block)
{
    struct thread *thread = thread_current();
    if (likely(logged_by(thread)) && likely(!lives_maybe(block)))
        logged_free(thread, block, stack_caller());
    else
        slow_free_by(CALL_free, block, 0, 0);
}

EXPORT void free(void *block)
{
    if (unlikely(!fast_free(block)))
        slow_plain_free(block);
    else
        backend.free(block);
}

EXPORT void free_sized(void *block, size_t size)
{
    if (unlikely(!fast_free(block)))
        slow_free_by(CALL_free_sized, block, 0, size);
    else
        backend.free_sized(block, size);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    if (unlikely(!fast_free(block)))
        slow_free_by(CALL_free_aligned_sized, block, alignment, size);
    else
        backend.free_aligned_sized(block, alignment, size);
}

/* ---- calloc and realloc ---------------------------------------------------------------------- */

static noinline void *slow_calloc(size_t count, size_t unit)
{
    struct thread *thread = thread_current();
    if (likely(logged_by(thread)))
        return logged_alloc(thread, MALLOCTAP_OP_CALLOC, call_array_size(count, unit),
                            backend.calloc(count, unit), stack_caller());
    struct call call = {CALL_calloc,    MALLOCTAP_OP_CALLOC, .size = call_array_size(count, unit),
                        .count = count, .unit = unit,        .caller = stack_caller()};
    slow_alloc(&call);
    return call.result;
}

EXPORT void *calloc(size_t count, size_t unit)
{
    size_t size = call_array_size(count, unit);
    if (unlikely(!fast_alloc(MALLOCTAP_OP_CALLOC, size)))
        return slow_calloc(count, unit);
    return returned(MALLOCTAP_OP_CALLOC, size, backend.calloc(count, unit));
}

/* The same for a realloc, of null or of a neighbour; not to size 0. */
static bool realloc_after_all(void *block, size_t size)
{
    bool special = size == 0 || arena_owns(block) || lives_hold(block);
    return (block == NULL || !special) && fast_alloc(MALLOCTAP_OP_REALLOC, size);
}

static cold void *slow_realloc(void *block, size_t size)
{
    if (realloc_after_all(block, size)) {
        if (block == NULL)
            counter_add(&thread_counters()->reallocs_from_null, 1);
        return returned(MALLOCTAP_OP_REALLOC, size, backend.realloc(block, size));
    }
    struct call call = {CALL_realloc, MALLOCTAP_OP_REALLOC, .size = size, .block = block,
                        .caller = stack_caller()};
    slow_alloc(&call);
    return call.result;
}

static always_inline void *resize(void *block, size_t size)
{
    if (unlikely(!fast_realloc(block, size)))
        return slow_realloc(block, size);
    return returned(MALLOCTAP_OP_REALLOC, size, backend.realloc(block, size));
}

EXPORT void *realloc(void *block, size_t size)
{
    return resize(block, size);
}

/* A product that overflows saturates to a size no allocator has: it fails as the standard wants. */
EXPORT void *reallocarray(void *block, size_t count, size_t unit)
{
    size_t size = call_array_size(count, unit);
    void *moved = resize(block, size);
    if (unlikely(size == SIZE_MAX)) /* not every allocator's realloc says why it failed */
        errno = ENOMEM;
    return moved;
}

/* ---- aligned allocation ---------------------------------------------------------------------- */

static cold void *slow_aligned(enum call_function function, size_t alignment, size_t size)
{
    struct call call = {function, MALLOCTAP_OP_ALIGNED, .size = size, .alignment = alignment,
                        .caller = stack_caller()};
    slow_alloc(&call);
    return call.result;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (unlikely(!fast_alloc(MALLOCTAP_OP_ALIGNED, size)))
        return slow_aligned(CALL_aligned_alloc, alignment, size);
    return returned(MALLOCTAP_OP_ALIGNED, size, backend.aligned_alloc(alignment, size));
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (unlikely(!fast_alloc(MALLOCTAP_OP_ALIGNED, size)))
        return slow_aligned(CALL_memalign, alignment, size);
    return returned(MALLOCTAP_OP_ALIGNED, size, backend.memalign(alignment, size));
}

EXPORT void *valloc(size_t size)
{
    if (unlikely(!fast_alloc(MALLOCTAP_OP_ALIGNED, size)))
        return slow_aligned(CALL_valloc, 0, size);
    return returned(MALLOCTAP_OP_ALIGNED, size, backend.valloc(size));
}

EXPORT void *pvalloc(size_t size)
{
    if (unlikely(!fast_alloc(MALLOCTAP_OP_ALIGNED, size)))
        return slow_aligned(CALL_pvalloc, 0, size);
    return returned(MALLOCTAP_OP_ALIGNED, size, backend.pvalloc(size));
}

static cold int slow_posix_memalign(void **ret, size_t alignment, size_t size)
{
    struct call call = {CALL_posix_memalign, MALLOCTAP_OP_ALIGNED, .size = size,
                        .alignment = alignment, .caller = stack_caller()};
    slow_alloc(&call);
    if (call.status == 0)
        *ret = call.result;
    return call.status;
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (unlikely(!fast_alloc(MALLOCTAP_OP_ALIGNED, size)))
        return slow_posix_memalign(ret, alignment, size);
    int status = backend.posix_memalign(ret, alignment, size);
    if (unlikely(status != 0))
        failed(MALLOCTAP_OP_ALIGNED, size);
    return status;
}

/* ---- neither an allocation nor a free: not counted ------------------------------------------- */

/* It may be a program's very first call. */
EXPORT size_t malloc_usable_size(void *block)
{
    if (unlikely(arena_owns(block)))
        return arena_usable_size(block);
    if (unlikely(thread_current()->limit == LIMIT_UNKNOWN))
        slow_prepare();
    return backend.malloc_usable_size(block);
}
