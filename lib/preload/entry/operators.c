/* SPDX-License-Identifier: MIT */
#include "operators.h"

#include "fast.h"
#include "slow.h"

#include <backend/backend.h>
#include <backend/linkage.h>

#include <stdlib.h>
#include <string.h>

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

/* The object with the operator to call; *counted: it does not call malloc, so it is counted here.
 */
static bool find_definer(enum operator_index index, struct linked_object *ret, bool *counted)
{
    struct linked_object allocator;
    if (!linkage_next_definer(names[index], NULL, ret))
        return false;
    bool bypasses_malloc =
        linkage_next_definer("malloc", NULL, &allocator) && allocator.start == ret->start;
    *counted = bypasses_malloc && backend_identity.kind == BACKEND_OWN;
    return !bypasses_malloc || *counted || linkage_next_definer(names[index], &allocator, ret);
}

/* What is loaded at the start stays, and so do the C++ libraries, which the loader never unloads
 * once their unique symbols are bound. Of any other library the address must not be kept. */
static bool stays(const struct linked_object *object)
{
    return object->soname != NULL && (strncmp(object->soname, "libstdc++.so", 12) == 0 ||
                                      strncmp(object->soname, "libc++.so", 9) == 0);
}

/* The function to call now; NULL when there is none. */
static operator_function *find(enum operator_index index, bool at_start, bool *counted)
{
    struct linked_object definer;
    *counted = false;
    if (!find_definer(index, &definer, counted))
        return NULL;
    operator_function *function = (operator_function *)linkage_symbol(&definer, names[index]);
    if (at_start || stays(&definer))
        __atomic_store_n(*counted ? &operators[index].counted : &operators[index].plain, function,
                         __ATOMIC_RELEASE);
    return function;
}

void operators_init(void)
{
    bool counted;
    for (int index = 0; index < OPERATORS; index++)
        find((enum operator_index)index, true, &counted);
}

/* Without any C++ library there is none to say that memory ran out. */
static void *new_without_library(size_t size, size_t alignment, bool nothrow)
{
    void *block = alignment ? aligned_alloc(alignment, size) : malloc(size ? size : 1);
    if (block == NULL && !nothrow)
        abort();
    return block;
}

/*
 * An allocator's operators may call the public malloc family themselves: those calls are part of
 * this one, and not counted. For that the thread is marked, and no exception may leave while it is:
 * so an operator that throws is called only after its sibling that does not has failed.
 */
static void *call_counted_new(enum operator_index index, bool nothrow, uintptr_t size,
                              uintptr_t second, uintptr_t third)
{
    /* In operators.def the sibling stands two further; it takes one more parameter, a reference to
     * std::nothrow that nobody looks at. */
    enum operator_index sibling = nothrow ? index : (enum operator_index)(index + 2);
    operator_function *function = __atomic_load_n(&operators[sibling].counted, __ATOMIC_ACQUIRE);
    void *block = NULL;
    if (function != NULL) {
        struct thread *thread = slow_inside_begin();
        block = function(size, second, third);
        slow_inside_end(thread);
    }
    if (block == NULL && !nothrow)
        block = operators[index].counted(size, second, third);
    return block;
}

static noinline void *other_new(enum operator_index index, bool nothrow, bool aligned,
                                uintptr_t size, uintptr_t second, uintptr_t third)
{
    if (__atomic_load_n(&operators[index].counted, __ATOMIC_ACQUIRE) == NULL) {
        bool counted;
        slow_prepare();
        operator_function *plain = find(index, false, &counted);
        if (plain == NULL)
            return new_without_library(size, aligned ? second : 0, nothrow);
        if (!counted || operators[index].counted == NULL)
            return plain(size, second, third);
    }
    void *block = call_counted_new(index, nothrow, size, second, third);
    enum malloctap_op op = aligned ? MALLOCTAP_OP_ALIGNED : MALLOCTAP_OP_MALLOC;
    if (unlikely(block == NULL) || unlikely(!fast_alloc(op, size)))
        slow_alloc(&(struct call){CALL_operator_new, op, .size = size, .result = block});
    return block;
}

static noinline void other_delete(enum operator_index index, uintptr_t block, uintptr_t second,
                                  uintptr_t third)
{
    operator_function *function = __atomic_load_n(&operators[index].counted, __ATOMIC_ACQUIRE);
    if (function == NULL) {
        bool counted;
        slow_prepare();
        function = find(index, false, &counted);
        if (function == NULL)
            free((void *)block);
        else if (!counted)
            function(block, second, third);
        if (function == NULL || !counted)
            return;
    }
    if (unlikely(!fast_free((void *)block))) {
        slow_free(&(struct call){CALL_operator_delete, MALLOCTAP_OP_FREE, .block = (void *)block,
                                 .target = function, .arguments = {block, second, third}});
        return;
    }
    struct thread *thread = slow_inside_begin();
    function(block, second, third);
    slow_inside_end(thread);
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
