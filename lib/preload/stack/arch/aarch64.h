/* SPDX-License-Identifier: MIT */
/* aarch64.h - x0 ... x30 are columns 0 ... 30, sp is 31; x30 is the return address. */
#ifndef PRELOAD_STACK_ARCH_AARCH64_H
#define PRELOAD_STACK_ARCH_AARCH64_H

#include "compiler.h"

#include <stdbool.h>
#include <stdint.h>

#define ARCH_COLUMNS 32
#define ARCH_FP 29
#define ARCH_SP 31
#define ARCH_LEAF_CFA_IS_SP 1

/* Those a caller may rely on, and the link register. Returns the mask of columns filled. */
static always_inline uint64_t arch_registers(uint64_t value[ARCH_COLUMNS], uint64_t *pc)
{
    uint64_t sp;
    __asm__ volatile("stp x19, x20, [%2, #152]\n\t"
                     "stp x21, x22, [%2, #168]\n\t"
                     "stp x23, x24, [%2, #184]\n\t"
                     "stp x25, x26, [%2, #200]\n\t"
                     "stp x27, x28, [%2, #216]\n\t"
                     "stp x29, x30, [%2, #232]\n\t"
                     "mov %1, sp\n\t"
                     "adr %0, ."
                     : "=&r"(*pc), "=&r"(sp)
                     : "r"(value)
                     : "memory");
    value[ARCH_SP] = sp;
    return 0xfff80000u;
}

/* Where a frame ends does not follow from its frame pointer: the caller is not known. */
static always_inline void arch_caller(const void *frame_pointer, uint64_t *pc, uint64_t *sp,
                                      uint64_t *fp)
{
    *pc = *sp = *fp = 0;
}

static always_inline uintptr_t arch_thread_pointer(void)
{
    uintptr_t self;
    __asm__("mrs %0, tpidr_el0" : "=r"(self));
    return self;
}

/* Rotations that come to nothing, and a disjunction that does: to valgrind, a request. */
static inline bool arch_under_valgrind(void)
{
    enum { RUNNING_ON_VALGRIND = 0x1001 };
    const uint64_t request[6] = {RUNNING_ON_VALGRIND};
    register uint64_t answer __asm__("x3") = 0;
    register const uint64_t *asked __asm__("x4") = request;
    __asm__ volatile("ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; ror x12, x12, #61\n\t"
                     "orr x10, x10, x10"
                     : "+r"(answer)
                     : "r"(asked)
                     : "cc", "memory");
    return answer != 0;
}

/* Strip a pointer authentication code: a hint that processors without it take for a no-op. */
static always_inline uint64_t arch_code_address(uint64_t saved)
{
    register uint64_t x30 __asm__("x30") = saved;
    __asm__("hint #7" : "+r"(x30)); /* xpaclri */
    return x30;
}

#endif
