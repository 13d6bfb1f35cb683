/* SPDX-License-Identifier: MIT */
/* x86_64.h - registers numbered as the System V ABI does; column 16 is the return address. */
#ifndef PRELOAD_STACK_ARCH_X86_64_H
#define PRELOAD_STACK_ARCH_X86_64_H

#include "compiler.h"

#include <stdbool.h>
#include <stdint.h>

#define ARCH_COLUMNS 17
#define ARCH_FP 6
#define ARCH_SP 7
#define ARCH_LEAF_CFA_IS_SP 0

/* Those a caller may rely on; the others died with the call. Returns the mask of columns filled. */
static always_inline uint64_t arch_registers(uint64_t value[ARCH_COLUMNS], uint64_t *pc)
{
    __asm__ volatile("movq %%rbx, 24(%1)\n\t"
                     "movq %%rbp, 48(%1)\n\t"
                     "movq %%rsp, 56(%1)\n\t"
                     "movq %%r12, 96(%1)\n\t"
                     "movq %%r13, 104(%1)\n\t"
                     "movq %%r14, 112(%1)\n\t"
                     "movq %%r15, 120(%1)\n\t"
                     "leaq 0(%%rip), %0"
                     : "=&r"(*pc)
                     : "r"(value)
                     : "memory");
    return 1u << 3 | 1u << ARCH_FP | 1u << ARCH_SP | 0xf000u;
}

/* Of the function whose frame pointer this is. */
static always_inline void arch_caller(const void *frame_pointer, uint64_t *pc, uint64_t *sp,
                                      uint64_t *fp)
{
    const uint64_t *saved = frame_pointer;
    *fp = saved[0];
    *pc = saved[1];
    *sp = (uintptr_t)(saved + 2);
}

static always_inline uintptr_t arch_thread_pointer(void)
{
    uintptr_t self;
    __asm__("movq %%fs:0, %0" : "=r"(self));
    return self;
}

/* Rotations that come to nothing, and an exchange that does: to valgrind, a request. */
static inline bool arch_under_valgrind(void)
{
    enum { RUNNING_ON_VALGRIND = 0x1001 };
    const uint64_t request[6] = {RUNNING_ON_VALGRIND};
    uint64_t answer = 0;
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(request)
                     : "cc", "memory");
    return answer != 0;
}

static always_inline uint64_t arch_code_address(uint64_t saved)
{
    return saved;
}

#endif
