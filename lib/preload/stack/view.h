/* SPDX-License-Identifier: MIT */
/*
 * view.h - reading a stack without ever faulting.
 *
 * A word is read only where memory is known to be readable: on the thread's own stack, from the
 * lowest page seen in use up to its top, which stays mapped as long as the thread lives; or on a
 * page that the kernel found readable during this very walk (alternate signal stacks, coroutines,
 * whatever a bogus register points to).
 */
#ifndef PRELOAD_STACK_VIEW_H
#define PRELOAD_STACK_VIEW_H

#include "compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct stack_view {
    uintptr_t own_low;   /* where the thread's own stack is in use */
    uintptr_t own_words; /* bytes from there in which a word may begin; 0: the walk is elsewhere */
    uintptr_t low, high; /* pages found readable by asking */
};

/* Learn where the main thread's stack ends. Called once, before any other thread exists.
 * `may_ask_kernel`: without it, only what needs no asking counts as readable, and walks elsewhere
 * end early. */
void stack_view_prepare(bool may_ask_kernel);

/* The stack that a thread was started with. */
struct own_stack {
    uintptr_t low; /* the lowest page that was seen readable; 0: not looked for yet */
    uintptr_t top;
};

/* It holds for as long as the thread lives, in a forked child too, where the memory is the same. */
extern HIDDEN _Thread_local struct own_stack own_stack __attribute__((tls_model("initial-exec")));

void stack_view_init_slowly(struct stack_view *view, uintptr_t sp);

/* A view for a walk that starts at `sp`, a stack pointer of the calling thread in use. */
static always_inline void stack_view_init(struct stack_view *view, uintptr_t sp)
{
    uintptr_t top = own_stack.top;
    if (unlikely(sp < own_stack.low || sp + sizeof(uint64_t) > top)) {
        stack_view_init_slowly(view, sp);
        return;
    }
    /* As [low, high), no page is as good as the one at sp, which lies in the other range. */
    *view = (struct stack_view){.own_low = sp, .own_words = top - sp - sizeof(uint64_t) + 1};
}

/* Whether a word that is not on the thread's own stack can be read; asks the kernel for its pages
 * and widens [low, high) by them. */
bool stack_view_find(struct stack_view *view, uintptr_t address);

/* Whether one byte can be read, by asking the kernel; false where it may not be asked. */
bool stack_view_readable(uintptr_t address);

/* The same of a loaded object's headers: true where the kernel may not be asked. */
bool stack_view_object_readable(uintptr_t address);

/* Registers that make no sense must not be reported as an error of the program: what is read may
 * be anything. */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static inline uint64_t
stack_view_load(uintptr_t address)
{
    uint64_t value;
    __builtin_memcpy(&value, (const void *)address, sizeof(value));
    return value;
}

static always_inline bool stack_view_read(struct stack_view *view, uintptr_t address, uint64_t *ret)
{
    if (unlikely(address - view->own_low >= view->own_words) && !stack_view_find(view, address))
        return false;
    *ret = stack_view_load(address);
    return true;
}

#endif
