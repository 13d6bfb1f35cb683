/* SPDX-License-Identifier: MIT */
#include "operators.h"

#include "fast.h"
#include "slow.h"

#include <backend/backend.h>
#include <backend/linkage.h>

#include <dlfcn.h>
#include <stdlib.h>

enum operator_index {
#define NEW(symbol, nothrow, aligned) INDEX_##symbol,
#define DELETE(symbol) INDEX_##symbol,
#include "operators.def"
#undef NEW
#undef DELETE
    OPERATORS,
};

static const char *const names[OPERATORS] = {
#define NEW(symbol, nothrow, aligned) #symbol,
#define DELETE(symbol) #symbol,
#include "operators.def"
#undef NEW
#undef DELETE
};

/* At most one of the two is set: the target of operators that call malloc themselves, and of those
 * that do not and are counted here. */
static struct {
    operator_function *plain;
    operator_function *counted;
} operators[OPERATORS];

static bool find(enum operator_index index, bool pin)
{
    struct linked_object allocator, definer;
    if (!linkage_next_definer(names[index], NULL, &definer))
        return false;
    bool bypasses_malloc =
        linkage_next_definer("malloc", NULL, &allocator) && allocator.start == definer.start;
    bool counted = bypasses_malloc && backend_identity.kind == BACKEND_OWN;
    if (bypasses_malloc && !counted && !linkage_next_definer(names[index], &allocator, &definer))
        return false;
    /* What a library opened later brings along might be closed again while we hold its address. */
    if (pin)
        dlopen(definer.path, RTLD_NOLOAD | RTLD_NODELETE | RTLD_LAZY);
    operator_function *function = (operator_function *)linkage_symbol(&definer, names[index]);
    __atomic_store_n(counted ? &operators[index].counted : &operators[index].plain, function,
                     __ATOMIC_RELEASE);
    return true;
}

void operators_init(void)
{
    for (int index = 0; index < OPERATORS; index++)
        find((enum operator_index)index, false);
}

/* Without any C++ library there is none to say that memory ran out. */
static void *new_without_library(size_t size, size_t alignment, bool nothrow)
{
    void *block = alignment ? aligned_alloc(alignment, size) : malloc(size ? size : 1);
    if (block == NULL && !nothrow)
        abort();
    return block;
}

/* Not yet found, or counted: an exception passes through on its way out, before anything was
 * counted. */
static noinline void *other_new(enum operator_index index, bool nothrow, bool aligned,
                                uintptr_t size, uintptr_t second, uintptr_t third)
{
    operator_function *counted = __atomic_load_n(&operators[index].counted, __ATOMIC_ACQUIRE);
    if (counted == NULL) {
        slow_prepare();
        if (!find(index, true))
            return new_without_library(size, aligned ? second : 0, nothrow);
        operator_function *plain = operators[index].plain;
        if (plain != NULL)
            return plain(size, second, third);
        counted = operators[index].counted;
    }
    void *block = counted(size, second, third);
    enum malloctap_op op = aligned ? MALLOCTAP_OP_ALIGNED : MALLOCTAP_OP_MALLOC;
    if (unlikely(block == NULL) || unlikely(!fast_alloc(op, size)))
        slow_alloc(&(struct call){CALL_operator_new, op, .size = size, .result = block});
    return block;
}

static noinline void other_delete(enum operator_index index, uintptr_t block, uintptr_t second,
                                  uintptr_t third)
{
    operator_function *counted = __atomic_load_n(&operators[index].counted, __ATOMIC_ACQUIRE);
    if (counted == NULL) {
        slow_prepare();
        operator_function *plain = find(index, true) ? operators[index].plain : NULL;
        counted = operators[index].counted;
        if (plain != NULL)
            plain(block, second, third);
        else if (counted == NULL)
            free((void *)block);
        if (counted == NULL)
            return;
    }
    if (likely(fast_free((void *)block)))
        counted(block, second, third);
    else
        slow_free(&(struct call){CALL_operator_delete, MALLOCTAP_OP_FREE, .block = (void *)block,
                                 .target = counted, .arguments = {block, second, third}});
}

#define NEW(symbol, nothrow, aligned)                                                              \
    EXPORT void *symbol(uintptr_t size, uintptr_t second, uintptr_t third);                        \
    EXPORT void *symbol(uintptr_t size, uintptr_t second, uintptr_t third)                         \
    {                                                                                              \
        operator_function *plain = operators[INDEX_##symbol].plain;                                \
        if (likely(plain != NULL))                                                                 \
            return plain(size, second, third);                                                     \
        return other_new(INDEX_##symbol, nothrow, aligned, size, second, third);                   \
    }
#define DELETE(symbol)                                                                             \
    EXPORT void symbol(uintptr_t block, uintptr_t second, uintptr_t third);                        \
    EXPORT void symbol(uintptr_t block, uintptr_t second, uintptr_t third)                         \
    {                                                                                              \
        operator_function *plain = operators[INDEX_##symbol].plain;                                \
        if (likely(plain != NULL))                                                                 \
            plain(block, second, third);                                                           \
        else                                                                                       \
            other_delete(INDEX_##symbol, block, second, third);                                    \
    }
#include "operators.def"
#undef NEW
#undef DELETE
