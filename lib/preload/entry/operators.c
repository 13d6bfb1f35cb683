/* SPDX-License-Identifier: MIT */
#include "operators.h"

#include "fast.h"
#include "slow.h"

#include <backend/backend.h>
#include <backend/linkage.h>
#include <probe/probe.h>

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

static bool searched; /* those that were there at the start */

/* std::get_new_handler(); NULL: there is no C++ library. */
static void (*(*get_new_handler)(void))(void);

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

/* The C++ libraries, whose operators call malloc and free, and which the loader never unloads once
 * their unique symbols are bound. */
static bool visit_cpp_library(const struct linked_object *object, void *ret)
{
    if (object->soname == NULL || (strncmp(object->soname, "libstdc++.so", 12) != 0 &&
                                   strncmp(object->soname, "libc++.so", 9) != 0))
        return false;
    *(struct linked_object *)ret = *object;
    return true;
}

static bool visit_any_definer(const struct linked_object *object, void *unused)
{
    uintptr_t self = (uintptr_t)&visit_any_definer;
    bool found = false;
    for (int index = 0; index < OPERATORS && !found; index++)
        found = linkage_definition(object, names[index]) != NULL;
    return found && (self < object->start || self >= object->end);
}

/* Programs that are not C++ have nobody who defines any, which is found in one walk. */
static void find_definers(void)
{
    if (!linkage_find(visit_any_definer, NULL))
        return;
    for (int index = 0; index < OPERATORS; index++) {
        struct linked_object definer;
        bool counted;
        if (!find_definer((enum operator_index)index, &definer, &counted))
            continue;
        operator_function *function = (operator_function *)linkage_symbol(&definer, names[index]);
        __atomic_store_n(counted ? &operators[index].counted : &operators[index].plain, function,
                         __ATOMIC_RELEASE);
    }
}

void operators_init(void)
{
    const char *const getter = "_ZSt15get_new_handlerv";
    struct linked_object library;
    if (linkage_next_definer(getter, NULL, &library))
        get_new_handler = (void (*(*)(void))(void))linkage_symbol(&library, getter);
    find_definers();
    __atomic_store_n(&searched, true, __ATOMIC_RELEASE);
}

/* For an operator that is not known: it may be called before the constructor has run. */
static operator_function *counted_of(enum operator_index index)
{
    if (unlikely(!__atomic_load_n(&searched, __ATOMIC_ACQUIRE))) {
        slow_prepare();
        operators_init();
    }
    return __atomic_load_n(&operators[index].counted, __ATOMIC_ACQUIRE);
}

/*
 * No object that was there at the start has it. Libraries opened later may, several of them, each
 * for itself and what it needs; but all come here, where nobody can tell whose a block is. So those
 * of a C++ library are called, and while there is none malloc and free, which is the same to them:
 * then any of these blocks may go back any of these ways. NULL: there is none.
 */
static operator_function *plain_of(enum operator_index index)
{
    struct linked_object library;
    operator_function *function = __atomic_load_n(&operators[index].plain, __ATOMIC_RELAXED);
    if (function == NULL && linkage_find(visit_cpp_library, &library)) {
        function = (operator_function *)linkage_symbol(&library, names[index]);
        __atomic_store_n(&operators[index].plain, function, __ATOMIC_RELEASE);
    }
    return function;
}

/* When memory ran out it is for the caller's own operator, as that of a C++ library inside it, to
 * say so: it will find none either. */
static void *new_without_library(enum operator_index index, bool nothrow, bool aligned,
                                 uintptr_t size, uintptr_t second, const void *caller)
{
    struct linked_object object;
    void *block = aligned ? aligned_alloc(second, size) : malloc(size ? size : 1);
    if (block != NULL || nothrow)
        return block;
    if (!linkage_holder(caller, &object) || linkage_symbol(&object, names[index]) == NULL)
        abort();
    return ((operator_function *)linkage_symbol(&object, names[index]))(size, second, 0);
}

static void count_failed(enum malloctap_op op, uintptr_t size)
{
    slow_alloc(&(struct call){CALL_operator_new, op, .size = size});
}

/* What the unwinder calls when an exception, or the end of the thread, passes call_that_throws():
 * so the call has failed. */
int operators_passed(int version, int actions, uint64_t kind, void *exception, void *context) HIDDEN
    __attribute__((used));
int operators_passed(int version, int actions, uint64_t kind, void *exception, void *context)
{
    enum { CLEANUP_PHASE = 2, GO_ON = 8 };
    struct thread *thread = thread_current();
    if ((actions & CLEANUP_PHASE) && thread->busy == THREAD_INSIDE) {
        slow_inside_end(thread);
        count_failed((enum malloctap_op)thread->inside_op, thread->inside_size);
    }
    return GO_ON;
}

/* For a thread that is marked. Naming the function above takes the place of code to run while the
 * stack is unwound, which would need libgcc's help to go on. */
static noinline void *call_that_throws(operator_function *function, uintptr_t size,
                                       uintptr_t second, uintptr_t third)
{
    enum { RELATIVE = 0x1b }; /* four bytes, from where they stand */
    __asm__(".cfi_personality %c0, operators_passed" : : "i"(RELATIVE));
    void *block = function(size, second, third);
    __asm__ volatile("" : "+r"(block)); /* no jump to it: the frame must be there */
    return block;
}

static void *call_inside(operator_function *function, enum malloctap_op op, uintptr_t size,
                         uintptr_t second, uintptr_t third)
{
    struct thread *thread = slow_inside_begin();
    if (thread == NULL)
        return function(size, second, third);
    thread->inside_op = op;
    thread->inside_size = size;
    void *block = call_that_throws(function, size, second, third);
    slow_inside_end(thread);
    return block;
}

static bool handled(void)
{
    return get_new_handler != NULL && get_new_handler() != NULL;
}

/*
 * An allocator's operators may call the public malloc family themselves: those calls are part of
 * this one, and not counted. For that the thread is marked. What is allocated for an exception is
 * to be counted, though: so an operator that throws is called only after its sibling that does not
 * has failed, which is counted then. (Should memory have come free meanwhile, it was two calls.)
 * Not so where there is a handler: it must not be called once more for that, and may throw what
 * only the operator itself lets pass.
 */
static void *call_counted_new(enum operator_index index, enum malloctap_op op, bool nothrow,
                              uintptr_t size, uintptr_t second, uintptr_t third)
{
    if (unlikely(handled()))
        return call_inside(operators[index].counted, op, size, second, third);
    /* In operators.def the sibling stands two further; it takes one more parameter, a reference to
     * std::nothrow that nobody looks at. */
    enum operator_index sibling = nothrow ? index : (enum operator_index)(index + 2);
    operator_function *function = __atomic_load_n(&operators[sibling].counted, __ATOMIC_ACQUIRE);
    void *block = function == NULL ? NULL : call_inside(function, op, size, second, third);
    if (likely(block != NULL) || nothrow)
        return block;
    if (function != NULL)
        count_failed(op, size);
    return operators[index].counted(size, second, third);
}

/* An operator new that is most likely to be sampled: it is probed here, as the slow path, which
 * probes other calls, does not make it. An exception may leave it. */
static cold void *new_probed(enum malloctap_op op, enum operator_index index, bool nothrow,
                             uintptr_t size, uintptr_t second, uintptr_t third)
{
    struct probe_start start;
    struct probe probe;
    probe_begin(&start);
    void *block = call_counted_new(index, op, nothrow, size, second, third);
    probe_end(&start, &probe);
    slow_alloc(
        &(struct call){CALL_operator_new, op, .size = size, .result = block, .probe = &probe});
    return block;
}

static noinline void *other_new(enum operator_index index, bool nothrow, bool aligned,
                                uintptr_t size, uintptr_t second, uintptr_t third,
                                const void *caller)
{
    if (counted_of(index) == NULL) {
        operator_function *plain = plain_of(index);
        if (plain == NULL)
            return new_without_library(index, nothrow, aligned, size, second, caller);
        return plain(size, second, third);
    }
    enum malloctap_op op = aligned ? MALLOCTAP_OP_ALIGNED : MALLOCTAP_OP_MALLOC;
    if (unlikely(thread_due(thread_current(), size)))
        return new_probed(op, index, nothrow, size, second, third);
    void *block = call_counted_new(index, op, nothrow, size, second, third);
    if (unlikely(block == NULL) || unlikely(!fast_alloc(op, size)))
        slow_alloc(&(struct call){CALL_operator_new, op, .size = size, .result = block});
    return block;
}

static noinline void other_delete(enum operator_index index, uintptr_t block, uintptr_t second,
                                  uintptr_t third)
{
    operator_function *function = counted_of(index);
    if (function == NULL) {
        function = plain_of(index);
        if (function == NULL)
            free((void *)block);
        else
            function(block, second, third);
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
        return other_new(INDEX_##symbol, nothrow, aligned, size, second, third,                    \
                         __builtin_return_address(0));                                             \
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
