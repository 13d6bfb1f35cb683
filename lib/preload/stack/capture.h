/* SPDX-License-Identifier: MIT */
/*
 * capture.h - the call stack of the calling thread, whichever walker takes it.
 *
 * Safe inside any hook: no lock, no allocation through the process's allocator, no fault on a stack
 * that makes no sense. `struct stack_tables` is the only state of the process; it is valid when all
 * zero and lives in memory that a fork wipes, so a child begins anew.
 */
#ifndef PRELOAD_STACK_CAPTURE_H
#define PRELOAD_STACK_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

enum stack_walker {
    STACK_WALKER_AUTO,      /* cfi where the C library can find objects without a lock */
    STACK_WALKER_CFI,       /* our own, over .eh_frame; lock-free */
    STACK_WALKER_LIBUNWIND, /* dlopened privately */
    STACK_WALKER_NONE,
};

struct stack_caller;
struct stack_memory;

struct stack_tables {
    void *depot_index;  /* depot.c */
    void *module_index; /* modules.c */
    void *rule_cache;   /* rule_cache.c */
    void *buffers;      /* capture.c */
    void *known;        /* known.c */
    uint64_t libunwind; /* walk_libunwind.c: whether this process may enter it */
};

/* Choose and prepare the walker. Called once, from the constructor, with no hook active: may open
 * libraries and allocate. Without `may_ask_kernel` no later capture makes a system call that an
 * allocator would not make, and some stacks are cut short for it. Returns the walker in force. */
enum stack_walker stack_walker_init(enum stack_walker wanted, bool may_ask_kernel);

/*
 * Capture the stack of the calling thread from the first frame outside this object, innermost
 * first, intern it in the depot and return its id; 0 when it could not be had or stored. `limit`
 * frames at most (up to MALLOCTAP_STACK_FRAMES_MAX). MALLOCTAP_STACK_... flags in *flags. 0, too,
 * when a signal handler forked meanwhile: the child has another depot. Uses under 3 KiB of stack.
 * Preserves errno.
 */
uint32_t stack_capture(struct stack_tables *tables, uint32_t limit, uint32_t *flags);

/*
 * The same stack, for a fraction of the cost where the thread takes one after the other: `memory`
 * is the calling thread's own (memory.h). `caller` may be a function of ours still. errno may
 * change.
 */
uint32_t stack_capture_joined(struct stack_tables *tables, const struct stack_caller *caller,
                              struct stack_memory *memory, uint32_t limit, uint32_t *flags);

#endif
