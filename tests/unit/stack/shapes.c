/* SPDX-License-Identifier: MIT */
/* shapes.c - frames of every shape that compilers and assembly make. */
#include "shapes.h"

#include <alloca.h>
#include <string.h>

#define SHAPE __attribute__((noinline))

/* Keeps the caller's frame: without something to do afterwards the call would be a jump. */
#define AFTERWARDS __asm__ volatile("" ::: "memory")

SHAPE void shape_plain(void (*callee)(void *), void *argument)
{
    callee(argument);
    AFTERWARDS;
}

SHAPE void shape_left(void (*callee)(void *), void *argument)
{
    callee(argument);
    __asm__ volatile("" ::"i"(1) : "memory");
}

SHAPE void shape_right(void (*callee)(void *), void *argument)
{
    callee(argument);
    __asm__ volatile("" ::"i"(2) : "memory");
}

/* Asking for the frame's address makes the compiler keep a frame pointer. */
SHAPE void shape_frame_pointer(void (*callee)(void *), void *argument)
{
    callee(argument);
    __asm__ volatile("" ::"r"(__builtin_frame_address(0)) : "memory");
}

SHAPE void shape_alloca(void (*callee)(void *), void *argument)
{
    static volatile size_t size = 300;
    char *memory = alloca(size);
    memset(memory, 1, size);
    callee(argument);
    __asm__ volatile("" ::"r"(memory) : "memory");
}

/* An over-aligned local next to a variable-size one: the compiler reaches the CFA through memory.
 */
SHAPE void shape_realigned(void (*callee)(void *), void *argument)
{
    static volatile size_t size = 100;
    _Alignas(64) char aligned[64];
    char *memory = alloca(size);
    memset(aligned, 1, sizeof(aligned));
    memset(memory, 1, size);
    callee(argument);
    __asm__ volatile("" ::"r"(memory), "r"(aligned) : "memory");
}

SHAPE void shape_large(void (*callee)(void *), void *argument)
{
    char memory[400000];
    memset(memory, 1, sizeof(memory));
    callee(argument);
    __asm__ volatile("" ::"r"(memory) : "memory");
}

#ifdef __x86_64__
/* The CFA hangs on rbx, which no short step keeps. */
__asm__(".text\n"
        ".globl shape_rbx\n"
        ".type shape_rbx, @function\n"
        "shape_rbx:\n"
        ".cfi_startproc\n"
        "pushq %rbx\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %rbx, 0\n"
        "movq %rsp, %rbx\n"
        ".cfi_def_cfa_register %rbx\n"
        "andq $-64, %rsp\n"
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "movq %rbx, %rsp\n"
        ".cfi_def_cfa_register %rsp\n"
        "popq %rbx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %rbx\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size shape_rbx, .-shape_rbx\n");

/* The CFA is an expression that only the evaluator understands: *(rsp + 8) + 8 * 2. */
__asm__(".text\n"
        ".globl shape_expression\n"
        ".type shape_expression, @function\n"
        "shape_expression:\n"
        ".cfi_startproc\n"
        "movq %rsp, %rax\n"
        "subq $40, %rsp\n"
        ".cfi_adjust_cfa_offset 40\n"
        "subq $8, %rax\n"
        "movq %rax, 8(%rsp)\n"
        /* DW_CFA_def_cfa_expression, 8 bytes: breg7 8, deref, lit8, lit2, mul, plus, nop */
        ".cfi_escape 0x0f, 8, 0x77, 8, 0x06, 0x38, 0x32, 0x1e, 0x22, 0x96\n"
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "addq $40, %rsp\n"
        ".cfi_def_cfa %rsp, 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size shape_expression, .-shape_expression\n");

/* No description at all, but a frame pointer. */
__asm__(".text\n"
        ".globl shape_undescribed\n"
        ".type shape_undescribed, @function\n"
        "shape_undescribed:\n"
        "pushq %rbp\n"
        "movq %rsp, %rbp\n"
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "popq %rbp\n"
        "ret\n"
        ".size shape_undescribed, .-shape_undescribed\n");

/* No description, and a frame pointer that is the second argument's first word. */
__asm__(".text\n"
        ".globl shape_bogus_frame_pointer\n"
        ".type shape_bogus_frame_pointer, @function\n"
        "shape_bogus_frame_pointer:\n"
        "pushq %rbp\n"
        "movq (%rsi), %rbp\n"
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "popq %rbp\n"
        "ret\n"
        ".size shape_bogus_frame_pointer, .-shape_bogus_frame_pointer\n");

/* Tables that lie: there is no frame pointer but the second argument's first word. */
__asm__(".text\n"
        ".globl shape_lying_frame_pointer\n"
        ".type shape_lying_frame_pointer, @function\n"
        "shape_lying_frame_pointer:\n"
        ".cfi_startproc\n"
        "pushq %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "movq (%rsi), %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "popq %rbp\n"
        ".cfi_def_cfa %rsp, 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size shape_lying_frame_pointer, .-shape_lying_frame_pointer\n");

/* Tables that lie: the CFA is said to be far away, and very far. */
#define LYING(name, offset)                                                                        \
    __asm__(".text\n"                                                                              \
            ".globl " name "\n"                                                                    \
            ".type " name ", @function\n" name ":\n"                                               \
            ".cfi_startproc\n"                                                                     \
            "subq $8, %rsp\n"                                                                      \
            ".cfi_def_cfa_offset " offset "\n"                                                     \
            "movq %rdi, %rax\n"                                                                    \
            "movq %rsi, %rdi\n"                                                                    \
            "call *%rax\n"                                                                         \
            "addq $8, %rsp\n"                                                                      \
            "ret\n"                                                                                \
            ".cfi_endproc\n"                                                                       \
            ".size " name ", .-" name "\n")
LYING("shape_lying", "0x30000");
LYING("shape_lying_much", "0x10000000");

/* Tables that lie: the caller's frame is said to begin where this one ends. */
__asm__(".text\n"
        ".globl shape_standing_still\n"
        ".type shape_standing_still, @function\n"
        "shape_standing_still:\n"
        ".cfi_startproc\n"
        "subq $8, %rsp\n"
        ".cfi_def_cfa_offset 0\n"
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "addq $8, %rsp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size shape_standing_still, .-shape_standing_still\n");

/* Interrupted at its very first instruction, by which no byte lies before it but another
 * function's, where other rules hold. */
__asm__(".text\n"
        ".type before_shape_trap, @function\n"
        "before_shape_trap:\n"
        ".cfi_startproc\n"
        ".cfi_def_cfa_offset 0x10000\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size before_shape_trap, .-before_shape_trap\n"
        ".globl shape_trap\n"
        ".type shape_trap, @function\n"
        "shape_trap:\n"
        ".cfi_startproc\n"
        "ud2\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size shape_trap, .-shape_trap\n");

/* The return address of this frame is the second argument's first word. */
__asm__(".text\n"
        ".globl shape_bogus_return\n"
        ".type shape_bogus_return, @function\n"
        "shape_bogus_return:\n"
        ".cfi_startproc\n"
        "pushq (%rsi)\n"
        ".cfi_def_cfa_offset 8\n" /* what was pushed poses as the return address */
        "movq %rdi, %rax\n"
        "movq %rsi, %rdi\n"
        "call *%rax\n"
        "addq $8, %rsp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size shape_bogus_return, .-shape_bogus_return\n");
#endif
