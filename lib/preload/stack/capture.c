/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include "compiler.h"
#include "depot.h"
#include "objects.h"
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

uint32_t stack_capture(struct stack_tables *tables, uint32_t limit, uint32_t *flags)
{
    uint64_t frames[MALLOCTAP_STACK_FRAMES_MAX + WALK_SPARE_FRAMES];
    int saved_errno = errno;
    *flags = 0;
    if (unlikely(walker == NULL))
        return 0;
    if (limit > MALLOCTAP_STACK_FRAMES_MAX)
        limit = MALLOCTAP_STACK_FRAMES_MAX;
    uint32_t count = walker(tables, &own_code, frames, limit, flags);
    uint32_t id = count == 0 ? 0 : depot_intern(&tables->depot_index, frames, count, *flags);
    errno = saved_errno;
    return id;
}

uint32_t stack_capture_joined(struct stack_tables *tables, struct stack_memory *memory,
                              uint32_t limit, uint32_t *flags)
{
    int saved_errno = errno;
    uint32_t id;
    *flags = 0;
    if (limit > MALLOCTAP_STACK_FRAMES_MAX)
        limit = MALLOCTAP_STACK_FRAMES_MAX;
    if (unlikely(walker != walk_cfi) ||
        unlikely(!walk_joined(tables, &own_code, memory, limit, flags, &id)))
        return stack_capture(tables, limit, flags);
    errno = saved_errno;
    return id;
}
