/* SPDX-License-Identifier: MIT */
/*
 * probe.h - the stack side in a shared object of its own, as it is in the preload object, over a
 * recording that is only memory. Frames of this object are left out of the stacks, those of the
 * test are not.
 */
#ifndef TESTS_STACK_PROBE_H
#define TESTS_STACK_PROBE_H

#include "stack/capture.h"

#include <malloctap/recording.h>

#include <stdbool.h>

struct probe_stack {
    uint32_t id;
    uint32_t flags;
    uint32_t count;
    uintptr_t pcs[MALLOCTAP_STACK_FRAMES_MAX];
    uint32_t modules[MALLOCTAP_STACK_FRAMES_MAX];
};

enum stack_walker probe_init(enum stack_walker wanted);

/* stack_capture(), with this process's tables. */
uint32_t probe_capture(uint32_t limit, uint32_t *flags);

/* stack_capture_joined(), with the calling thread's memory. */
uint32_t probe_capture_joined(uint32_t limit, uint32_t *flags);

/* The same from a function that this object was called from. */
struct stack_caller;
uint32_t probe_capture_from(const struct stack_caller *caller, uint32_t limit, uint32_t *flags);

struct stack_memory *probe_memory(void);

/* Both, which must yield the same; and what was stored, as plain addresses. */
void probe_take(uint32_t limit, struct probe_stack *ret);

/* The same with so many more frames of this object's own below. */
void probe_take_below(int depth, uint32_t limit, struct probe_stack *ret);

/* Whether the stack was taken last by a joined walk. */
bool probe_was_joined(const struct probe_stack *stack);

/* A module as recorded; NULL: no such id. */
const struct malloctap_module *probe_module(uint32_t id);
uint32_t probe_module_count(void);

/* Start again as a forked child does: with tables that are all zero. */
void probe_forget(void);

/* The tables alone: what a thread remembers is then another process's. */
void probe_forget_tables(void);

/* Parts under test that work without a walk. */
uint32_t probe_intern(const uint64_t *frames, uint32_t count, uint32_t flags);
uint64_t probe_stacks_stored(void);
const struct malloctap_stack *probe_stored(uint32_t id);

#endif
