/* SPDX-License-Identifier: MIT */
/*
 * arch.h - what the stack walker must know of the processor. One header a processor defines:
 *
 *   ARCH_COLUMNS          DWARF register columns the walker keeps; higher ones are ignored
 *   ARCH_SP, ARCH_FP      columns of the stack pointer and of the frame pointer
 *   ARCH_LEAF_CFA_IS_SP   1: a frame may have pushed nothing, not even a return address
 *   arch_registers()      the registers and pc of the function it is inlined into
 *   arch_thread_pointer() the thread control block, which C libraries put on top of the stacks
 *                         of the threads they make
 *   arch_under_valgrind() whether valgrind runs the program
 *   arch_code_address()   a return address as it was saved, without signature bits
 */
#ifndef PRELOAD_STACK_ARCH_H
#define PRELOAD_STACK_ARCH_H

#include <stdint.h>

#if defined(__x86_64__)
#include "x86_64.h"
#elif defined(__aarch64__)
#include "aarch64.h"
#else
#error "no stack walker for this processor: add a header to arch/"
#endif

#endif
