/* SPDX-License-Identifier: MIT */
/* walk_step.h - one step of a walk that needs pc, sp and fp alone, as nearly all do. */
#ifndef PRELOAD_STACK_WALK_STEP_H
#define PRELOAD_STACK_WALK_STEP_H

#include "compiler.h"
#include "rule.h"

/* Frames found by frame pointer alone may not be larger: beyond, it is rather some other value. */
#define FRAME_POINTER_REACH (1u << 20)

/* No code lies in the first pages, nor in the half of the address space that is the kernel's. */
#define CODE_LOW 0x1000u
#define CODE_HIGH 0x0001000000000000ULL

enum step {
    STEP_CALLER,    /* the frame is the caller's */
    STEP_OUTERMOST, /* there is no caller */
    STEP_LOST,      /* the rest cannot be found */
};

struct position {
    uint64_t pc, sp, fp;
    bool exact, fp_known;
};

static always_inline struct position position_of(const struct registers *registers)
{
    return (struct position){
        .pc = registers->pc,
        .sp = registers->value[ARCH_SP],
        .fp = registers->value[ARCH_FP],
        .exact = registers->exact,
        .fp_known = registers_know(registers, ARCH_FP),
    };
}

/* Where to look up what holds at the frame's pc. */
static always_inline uintptr_t position_place(const struct position *position)
{
    return position->pc - !position->exact;
}

/* Whether an address can be a frame's: in no object, generated code is anywhere but here. */
static always_inline bool is_code(bool in_object, struct rule rule, uint64_t pc)
{
    return in_object ? rule.kind != RULE_NOT_CODE : pc >= CODE_LOW && pc < CODE_HIGH;
}

/* A caller's frame lies above its callee's, and its stack pointer is a multiple of a word. */
static always_inline bool plausible_cfa(uint64_t cfa, uint64_t callee_sp, bool callee_exact)
{
    return cfa % 8 == 0 &&
           (cfa > callee_sp || (ARCH_LEAF_CFA_IS_SP && callee_exact && cfa == callee_sp));
}

static always_inline bool is_short(struct rule rule, const struct position *position)
{
    return rule.kind == RULE_CFA_FROM_SP ||
           ((rule.kind == RULE_CFA_FROM_FP || rule.kind == RULE_CFA_AT_FP) && position->fp_known);
}

/* The address so many words from `base`. */
static always_inline uint64_t words_from(uint64_t base, int16_t words)
{
    return base + (uint64_t)(words * INT64_C(8));
}

/* A step by a rule that is_short(). False: the rest cannot be found. */
static always_inline bool short_step(struct stack_view *view, struct rule rule,
                                     struct position *position)
{
    uint64_t fp = position->fp, ra;
    uint64_t cfa = words_from(rule.kind == RULE_CFA_FROM_SP ? position->sp : fp, rule.cfa);
    if (unlikely(rule.kind == RULE_CFA_AT_FP) && !stack_view_read(view, cfa, &cfa))
        return false;
    if (unlikely(!plausible_cfa(cfa, position->sp, position->exact)) ||
        !stack_view_read(view, words_from(cfa, rule.ra), &ra))
        return false;
    if (rule.fp_how == RULE_FP_FROM_CFA &&
        !stack_view_read(view, words_from(cfa, rule.fp), &position->fp))
        return false;
    if (unlikely(rule.fp_how == RULE_FP_FROM_FP) &&
        !stack_view_read(view, words_from(fp, rule.fp), &position->fp))
        return false;
    if (rule.fp_how != RULE_FP_SAME)
        position->fp_known = rule.fp_how != RULE_FP_LOST;
    position->sp = cfa;
    position->pc = arch_code_address(ra);
    position->exact = false;
    return true;
}

/* Code without a description: made at run time, or assembly. It may keep a frame pointer. */
static inline enum step frame_pointer_step(struct stack_view *view, struct position *position)
{
    uint64_t fp = position->fp, caller_fp, ra;
    if (!position->fp_known)
        return STEP_LOST;
    if (fp == 0)
        return STEP_OUTERMOST; /* as the ABI has the first frame marked */
    if (fp % 8 != 0 || fp - position->sp > FRAME_POINTER_REACH ||
        !stack_view_read(view, fp, &caller_fp) || !stack_view_read(view, fp + 8, &ra))
        return STEP_LOST;
    *position = (struct position){
        .pc = arch_code_address(ra), .sp = fp + 16, .fp = caller_fp, .fp_known = true};
    return STEP_CALLER;
}

#endif
