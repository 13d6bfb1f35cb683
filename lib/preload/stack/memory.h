/* SPDX-License-Identifier: MIT */
/*
 * memory.h - what a thread remembers of the stack it took last, so that the next one is walked only
 * where it differs.
 *
 * A thread's own: no other uses it, and no signal handler while a capture is under way. Valid when
 * all zero, and it may become all zero at any instruction, as it does in a forked child: the
 * capture that was under way then returns no stack.
 */
#ifndef PRELOAD_STACK_MEMORY_H
#define PRELOAD_STACK_MEMORY_H

#include <stdint.h>

/* Bytes of a struct stack_memory; pages of it that are never needed are never touched. */
#define STACK_MEMORY_SIZE 16384

struct stack_memory {
    uint64_t words[STACK_MEMORY_SIZE / sizeof(uint64_t)];
};

#endif
