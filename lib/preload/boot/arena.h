/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory for calls that come before any backend is known.
 *
 * A fixed arena that only grows: finding the backend must not recurse into it. Its blocks live for
 * ever; every entry point that takes a pointer asks arena_owns() first. Thread-safe.
 */
#ifndef PRELOAD_ARENA_H
#define PRELOAD_ARENA_H

#include <compiler.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_SIZE (256u * 1024)

extern char arena_memory[ARENA_SIZE] HIDDEN;

static always_inline bool arena_owns(const void *block)
{
    return (uintptr_t)block - (uintptr_t)arena_memory < ARENA_SIZE;
}

/* Zeroed, aligned to `alignment` (a power of two, at least 16 is used); NULL when full. */
void *arena_alloc(size_t size, size_t alignment);

/* Bytes of arena_memory handed out so far. */
size_t arena_in_use(void);

/* Bytes that may be used at `block`, which the arena owns. */
size_t arena_usable_size(const void *block);

#endif
