/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include "compiler.h"
#include "depot.h"
#include "objects.h"
#include "rule_cache.h"
#include "table.h"
#include "view.h"
#include "walk.h"

#include <errno.h>

typedef uint32_t walk_function(struct stack_tables *tables, const struct walk_own *own,
                               uint64_t *frames, uint32_t limit, uint32_t *flags);

/* Written by stack_walker_init() alone. */
static walk_function *walker;
static struct walk_own own_code;

enum stack_walker stack_walker_init(enum stack_walker wanted, bool may_ask_kernel)
{
    int saved_errno = errno;
    struct object own;
    bool finds_all = objects_prepare();
    stack_view_prepare(may_ask_kernel);
    if (objects_find((uintptr_t)&stack_capture, &own))
        own_code = (struct walk_own){own.start, own.end};
    if (wanted == STACK_WALKER_AUTO)
        wanted = finds_all ? STACK_WALKER_CFI : STACK_WALKER_LIBUNWIND;
    if (wanted == STACK_WALKER_LIBUNWIND && !walk_libunwind_prepare())
        wanted = STACK_WALKER_CFI;
    if (wanted == STACK_WALKER_CFI)
        walker = walk_cfi;
    else if (wanted == STACK_WALKER_LIBUNWIND)
        walker = walk_libunwind;
    else
        walker = NULL;
    errno = saved_errno;
    return wanted;
}

/*
 * Frames are collected in mapped memory, for the stack may be a coroutine's of one page. As many
 * threads as there are buffers can walk at once before others have to use their stacks.
 */
#define BUFFERS 16u

struct frame_buffer {
    uint32_t taken;
    uint64_t frames[MALLOCTAP_STACK_FRAMES_MAX + WALK_SPARE_FRAMES];
};

static struct frame_buffer *buffer_take(struct stack_tables *tables)
{
    struct frame_buffer *buffers = table_get(&tables->buffers, BUFFERS * sizeof(*buffers));
    for (uint32_t i = 0; buffers != NULL && i < BUFFERS; i++) {
        /* Pairs with the release below: one thread's use of a buffer is over before another's. */
        if (!__atomic_load_n(&buffers[i].taken, __ATOMIC_RELAXED) &&
            !__atomic_exchange_n(&buffers[i].taken, 1, __ATOMIC_ACQUIRE))
            return &buffers[i];
    }
    return NULL;
}

static void buffer_give_back(struct frame_buffer *buffer)
{
    __atomic_store_n(&buffer->taken, 0, __ATOMIC_RELEASE);
}

/* What the tables of this process are told from those of another by: a child that was forked in the
 * middle of a capture has none, or a new one while its parent's is still mapped. */
static struct rule_cache *process_mark(struct stack_tables *tables)
{
    return table_get(&tables->rule_cache, sizeof(struct rule_cache));
}

/* Modules have other ids in a child, so there the result would name another stack. */
static uint32_t unless_forked(struct stack_tables *tables, const struct rule_cache *mark,
                              uint32_t id)
{
    return __atomic_load_n(&tables->rule_cache, __ATOMIC_RELAXED) == mark ? id : 0;
}

static uint32_t capture_in(struct stack_tables *tables, uint64_t *frames, uint32_t limit,
                           uint32_t *flags)
{
    struct rule_cache *mark = process_mark(tables);
    uint32_t count = walker(tables, &own_code, frames, limit, flags);
    if (count == 0)
        return 0;
    uint32_t id = depot_intern(&tables->depot_index, frames, count, *flags);
    return unless_forked(tables, mark, id);
}

static noinline uint32_t capture_on_stack(struct stack_tables *tables, uint32_t limit,
                                          uint32_t *flags)
{
    uint64_t frames[MALLOCTAP_STACK_FRAMES_MAX + WALK_SPARE_FRAMES];
    return capture_in(tables, frames, limit, flags);
}

uint32_t stack_capture(struct stack_tables *tables, uint32_t limit, uint32_t *flags)
{
    int saved_errno = errno;
    uint32_t id;
    *flags = 0;
    if (unlikely(walker == NULL))
        return 0;
    if (limit > MALLOCTAP_STACK_FRAMES_MAX)
        limit = MALLOCTAP_STACK_FRAMES_MAX;
    struct frame_buffer *buffer = buffer_take(tables);
    if (likely(buffer != NULL)) {
        id = capture_in(tables, buffer->frames, limit, flags);
        buffer_give_back(buffer);
    } else {
        id = capture_on_stack(tables, limit, flags);
    }
    errno = saved_errno;
    return id;
}

uint32_t stack_capture_joined(struct stack_tables *tables, const struct stack_caller *caller,
                              struct stack_memory *memory, uint32_t limit, uint32_t *flags)
{
    uint32_t id;
    *flags = 0;
    if (limit > MALLOCTAP_STACK_FRAMES_MAX)
        limit = MALLOCTAP_STACK_FRAMES_MAX;
    struct rule_cache *mark = process_mark(tables);
    if (unlikely(walker != walk_cfi) || unlikely(mark == NULL) ||
        unlikely(!walk_joined(tables, mark, &own_code, caller, memory, limit, flags, &id)))
        return stack_capture(tables, limit, flags);
    return unless_forked(tables, mark, id);
}
