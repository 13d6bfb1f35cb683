/* SPDX-License-Identifier: MIT */
/* registers.h - the registers of one frame, as far as they are known. */
#ifndef PRELOAD_STACK_REGISTERS_H
#define PRELOAD_STACK_REGISTERS_H

#include "arch/arch.h"

#include <stdbool.h>
#include <stdint.h>

struct registers {
    uint64_t value[ARCH_COLUMNS];
    uint64_t known; /* bit c: value[c] is what the frame has in column c */
    uint64_t pc;
    /* pc is the instruction itself (interrupted by a signal, or our own), not the one after a call:
     * a call may be the last instruction of its function, so what describes a return address is
     * found at pc - 1. */
    bool exact;
};

static inline bool registers_know(const struct registers *registers, uint64_t column)
{
    return column < ARCH_COLUMNS && (registers->known >> column & 1);
}

/* Where to look up what holds at the frame's pc. */
static inline uintptr_t registers_lookup_pc(const struct registers *registers)
{
    return registers->pc - !registers->exact;
}

#endif
