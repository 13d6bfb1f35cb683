/* SPDX-License-Identifier: MIT */
/* call.h - one call to the allocator, as the slow path carries it. */
#ifndef PRELOAD_CALL_H
#define PRELOAD_CALL_H

#include <malloctap/recording.h>
#include <stack/caller.h>

#include <stddef.h>
#include <stdint.h>

enum call_function {
#define FUNCTION(name, result, parameters) CALL_##name,
#include "functions.def"
#undef FUNCTION
    CALL_operator_new, /* already made: an exception may leave it, so it is not made in here */
    CALL_operator_delete,
};

/* Any operator new or delete: none takes more than three words, and unused ones do no harm. */
typedef void *operator_function(uintptr_t, uintptr_t, uintptr_t);

struct call {
    enum call_function function;
    enum malloctap_op op;
    size_t size; /* bytes requested, as counted; SIZE_MAX if count * size overflows */
    size_t count;
    size_t unit; /* of a calloc: size of each */
    size_t alignment;
    void *block;               /* realloc: the old block; free: the block */
    void *result;              /* of an allocation; NULL when it failed */
    int status;                /* of posix_memalign */
    operator_function *target; /* operator delete: the function to call, and its */
    uintptr_t arguments[3];    /* parameters, as many as it takes */
    struct stack_caller caller;
    const struct probe *probe; /* operator new: what it cost; NULL: it was not probed */
};

/* count * unit, saturated: what an array allocation requests. */
static inline size_t call_array_size(size_t count, size_t unit)
{
    size_t size;
    return __builtin_mul_overflow(count, unit, &size) ? SIZE_MAX : size;
}

/* Hand the call to the backend, and keep what it returned. */
void call_forward(struct call *call);

#endif
