/* SPDX-License-Identifier: MIT */
#include "call.h"

#include "backend.h"

#include <boot/arena.h>

#include <string.h>

/* A block of the arena cannot be given to the backend: its contents move, the old place is left. */
static void *move_from_arena(const void *block, size_t size)
{
    void *moved = backend.malloc(size);
    if (moved != NULL) {
        size_t had = arena_usable_size(block);
        memcpy(moved, block, had < size ? had : size);
    }
    return moved;
}

static void forward_realloc(struct call *call)
{
    if (arena_owns(call->block))
        call->result = move_from_arena(call->block, call->size);
    else
        call->result = backend.realloc(call->block, call->size);
}

static void forward_free(struct call *call)
{
    if (arena_owns(call->block))
        return;
    if (call->function == CALL_free)
        backend.free(call->block);
    else if (call->function == CALL_free_sized)
        backend.free_sized(call->block, call->size);
    else
        backend.free_aligned_sized(call->block, call->alignment, call->size);
}

void call_forward(struct call *call)
{
    switch (call->function) {
    case CALL_malloc:
        call->result = backend.malloc(call->size);
        break;
    case CALL_calloc:
        call->result = backend.calloc(call->count, call->unit);
        break;
    case CALL_realloc:
        forward_realloc(call);
        break;
    case CALL_posix_memalign:
        call->result = NULL;
        call->status = backend.posix_memalign(&call->result, call->alignment, call->size);
        break;
    case CALL_aligned_alloc:
        call->result = backend.aligned_alloc(call->alignment, call->size);
        break;
    case CALL_memalign:
        call->result = backend.memalign(call->alignment, call->size);
        break;
    case CALL_valloc:
        call->result = backend.valloc(call->size);
        break;
    case CALL_pvalloc:
        call->result = backend.pvalloc(call->size);
        break;
    case CALL_free:
    case CALL_free_sized:
    case CALL_free_aligned_sized:
        forward_free(call);
        break;
    case CALL_malloc_usable_size: /* not counted, so never slow */
        break;
    case CALL_operator_new:
        break;
    case CALL_operator_delete:
        call->target(call->arguments[0], call->arguments[1], call->arguments[2]);
        break;
    }
}
