/* SPDX-License-Identifier: MIT */
/*
 * counter.h - counters with one writer and readers elsewhere.
 *
 * A signal handler on the writing thread may count too, so on x86-64 the addition is one
 * instruction, which no signal can split. Elsewhere a handler that arrives between load and store
 * loses what it counted.
 */
#ifndef COMMON_COUNTER_H
#define COMMON_COUNTER_H

#include "compiler.h"

#include <stdint.h>

static always_inline void counter_add(uint64_t *counter, uint64_t amount)
{
#ifdef __x86_64__
    __asm__("addq %1, %0" : "+m"(*counter) : "er"(amount) : "cc");
#else
    *counter += amount;
#endif
}

/* For counters that several threads write. */
static inline void counter_add_shared(uint64_t *counter, uint64_t amount)
{
    __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

#endif
