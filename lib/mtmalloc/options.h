/* SPDX-License-Identifier: MIT */
/* options.h - what mallocctl(), MTMALLOC= and the tap may set. */
#ifndef MTMALLOC_OPTIONS_H
#define MTMALLOC_OPTIONS_H

#include <stdatomic.h>
#include <stdint.h>

/* command, name for -b mtmalloc,NAME=VALUE and MTMALLOC=NAME=VALUE */
#define MT_SWITCHES(X)                                                                             \
    X(MTDOUBLEFREE, doublefree)                                                                    \
    X(MTDEBUGPATTERN, debugpattern)                                                                \
    X(MTINITBUFFER, initbuffer)

/* The commands of the switches that are on, as bits; mostly zero. */
extern _Atomic uint32_t mt_options;

/* Bytes of the next cache. */
extern _Atomic uint32_t mt_chunk_size;

static inline uint32_t mt_option_bits(void)
{
    return atomic_load_explicit(&mt_options, memory_order_relaxed);
}

#endif
