/* SPDX-License-Identifier: MIT */
/* caller.h - who called a function of ours: where a walk that leaves our frames out begins. */
#ifndef PRELOAD_STACK_CALLER_H
#define PRELOAD_STACK_CALLER_H

#include "arch/arch.h"
#include "compiler.h"

#include <stdint.h>

/* The return address, and sp and fp as they are once that is reached. pc 0: not known. */
struct stack_caller {
    uint64_t pc, sp, fp;
};

/* The caller of the function that this stands in, which keeps a frame pointer for it. */
static always_inline struct stack_caller stack_caller(void)
{
    struct stack_caller caller;
    arch_caller(__builtin_frame_address(0), &caller.pc, &caller.sp, &caller.fp);
    return caller;
}

#endif
