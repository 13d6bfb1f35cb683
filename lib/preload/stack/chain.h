/* SPDX-License-Identifier: MIT */
/*
 * chain.h - the frames that a thread remembers: how far they can still be believed, and putting
 * others in their place.
 *
 * A step reads the return address, and where fp matters, to it or to a frame outside it, words that
 * fp hangs on. The former is remembered by the place where it was, and is the pc of the next frame;
 * the latter are checks. So the steps of code that keeps no frame pointer need none.
 */
#ifndef PRELOAD_STACK_CHAIN_H
#define PRELOAD_STACK_CHAIN_H

#include "depot.h"
#include "memory.h"
#include "places.h"
#include "walk_step.h"

#include <string.h>

/* Where the thread's own stack is in use: no other word is read. */
struct chain_stack {
    uint64_t low, top;
};

static always_inline bool chain_own_word(const struct chain_stack *stack, uint64_t address)
{
    return address >= stack->low && address <= stack->top - sizeof(uint64_t);
}

/* So many frames are kept of a stack that has more: room for it to grow and to shrink. */
static always_inline uint32_t chain_frames_kept(uint32_t limit)
{
    return (MEMORY_FRAMES + limit) / 2;
}

static always_inline uint64_t chain_word(const struct chain_stack *stack, int32_t from_top)
{
    return stack_view_load(stack->top + (uint64_t)(int64_t)from_top);
}

static noinline uint32_t chain_verified_by_checks(const struct stack_memory *memory,
                                                  const struct chain_stack *stack, uint32_t count)
{
    const struct memory_check *check = memory->checks;
    const struct memory_check *end = check + memory->frames[count - 1].checks;
    for (; check < end; check++) {
        if (chain_word(stack, check->from_top) != check->word)
            return check->frame < count ? check->frame : count;
    }
    return count;
}

/* How many of so many frames, from the outermost on, may still be met: all but the one whose step
 * read the first word that has changed, and those inside it. If that is a return address, the frame
 * that it led to is at another place now. */
static always_inline uint32_t chain_verified(const struct stack_memory *memory,
                                             const struct chain_stack *stack, uint32_t count)
{
    const struct memory_frame *frames = memory->frames, *end = frames + count, *frame;
    if (unlikely(count == 0))
        return 0;
    for (frame = frames + 1; frame < end; frame++) {
        uint64_t ra = chain_word(stack, frame->ra_from_top);
        if (unlikely(arch_code_address(ra) != frame[-1].pc)) {
            frame--;
            break;
        }
    }
    count = (uint32_t)(frame - frames);
    if (unlikely(count == 0) || likely(frame[-1].checks == 0))
        return count;
    return chain_verified_by_checks(memory, stack, count);
}

/* How many of so many frames, from the outermost on, are not inside sp. */
static always_inline uint32_t chain_not_inside(const struct memory_frame *frames, uint32_t count,
                                               uint64_t sp)
{
    while (count > 0 && frames[count - 1].sp < sp)
        count--;
    return count;
}

/* After a wipe an address may be anything: then the word at the top stands in. */
static inline void chain_add_check(const struct chain_stack *stack, struct memory_check *check,
                                   uint32_t frame, uint64_t address)
{
    if (!chain_own_word(stack, address))
        address = stack->top;
    *check =
        (struct memory_check){(int32_t)(address - stack->top), frame, stack_view_load(address)};
}

/* What makes fp matter to a frame, and the words that it hangs on. Returns how many. */
static noinline uint32_t chain_add_checks(const struct chain_stack *stack,
                                          struct stack_memory *memory, uint32_t checks,
                                          struct memory_frame *frame,
                                          const struct memory_new_frame *from, uint64_t cfa,
                                          bool outer_needs_fp)
{
    struct memory_check *check = &memory->checks[checks];
    uint32_t index = (uint32_t)(frame - memory->frames);
    const struct rule *rule = &from->rule;
    frame->fp = from->fp;
    frame->needs_fp = rule->kind != RULE_CFA_FROM_SP;
    if (rule->kind == RULE_NOT_DESCRIBED) {
        chain_add_check(stack, check++, index, from->fp);
        return checks + 1;
    }
    if (rule->kind == RULE_CFA_AT_FP)
        chain_add_check(stack, check++, index, words_from(from->fp, rule->cfa));
    if (outer_needs_fp) {
        frame->needs_fp |= rule->fp_how == RULE_FP_SAME || rule->fp_how == RULE_FP_FROM_FP;
        if (rule->fp_how == RULE_FP_FROM_CFA)
            chain_add_check(stack, check++, index, words_from(cfa, rule->fp));
        if (rule->fp_how == RULE_FP_FROM_FP)
            chain_add_check(stack, check++, index, words_from(from->fp, rule->fp));
    }
    return (uint32_t)(check - memory->checks);
}

/* The same where the caller's fp is the frame's own or was saved in its frame, as it nearly always
 * is.
 */
static always_inline uint32_t chain_add_usual_check(const struct chain_stack *stack,
                                                    struct stack_memory *memory, uint32_t checks,
                                                    struct memory_frame *frame, uint32_t index,
                                                    const struct memory_new_frame *from,
                                                    uint64_t cfa, bool outer_needs_fp)
{
    bool saved = from->rule.fp_how == RULE_FP_FROM_CFA;
    frame->fp = from->fp;
    frame->needs_fp = from->rule.kind == RULE_CFA_FROM_FP || (outer_needs_fp && !saved);
    if (outer_needs_fp && saved)
        chain_add_check(stack, &memory->checks[checks++], index, words_from(cfa, from->rule.fp));
    return checks;
}

static always_inline bool chain_is_usual(struct rule rule)
{
    return (rule.kind == RULE_CFA_FROM_SP || rule.kind == RULE_CFA_FROM_FP) &&
           (rule.fp_how == RULE_FP_SAME || rule.fp_how == RULE_FP_FROM_CFA);
}

/* How the outermost frame's step ended. */
enum chain_end {
    CHAIN_END_NONE, /* it was not taken, or by its rule there is none */
    CHAIN_END_NULL, /* at a return address of 0 */
};

/* Put down what every frame has. Returns its hash. */
static always_inline uint64_t chain_put(struct memory_frame *frame,
                                        const struct memory_new_frame *from, uint64_t outer_hash,
                                        uint64_t modules)
{
    frame->pc = from->pc;
    frame->sp = from->sp;
    frame->hash = depot_hash_add(outer_hash, from->spread);
    frame->modules = modules;
    frame->ra_from_top = from->ra_from_top;
    frame->module = (uint8_t)from->module;
    frame->needs_fp = false;
    return frame->hash;
}

/* chain_append() of frames whose steps are plain and start from sp, all in modules that stay, to
 * one that does not depend on fp. */
static always_inline void chain_append_plain(struct stack_memory *memory, uint32_t count,
                                             uint32_t added)
{
    struct memory_frame *frame = &memory->frames[count];
    const struct memory_new_frame *from = &memory->added[added];
    uint64_t hash = frame[-1].hash;
    const uint64_t modules = frame[-1].modules;
    const uint16_t checks = frame[-1].checks;
    for (; from-- > memory->added; frame++) {
        hash = chain_put(frame, from, hash, modules);
        frame->checks = checks;
    }
}

/* Put `added` frames inside the first `count`, the outermost one first. `cfa`: where the step of
 * the outermost one led; `end`: if count is 0. */
static always_inline void chain_append(struct stack_memory *memory, const struct chain_stack *stack,
                                       uint32_t count, uint32_t added, uint64_t cfa,
                                       enum chain_end end)
{
    struct memory_frame *frame = &memory->frames[count];
    const struct memory_new_frame *from = &memory->added[added];
    const uint64_t kept = memory->kept | NO_MODULE_BIT;
    uint64_t hash = 0, modules = 0;
    uint32_t checks = 0, index = count;
    bool needs_fp = false;
    if (likely(count > 0)) {
        hash = frame[-1].hash;
        modules = frame[-1].modules;
        checks = frame[-1].checks;
        needs_fp = frame[-1].needs_fp;
    } else if (end == CHAIN_END_NULL && added > 0) {
        uint64_t address = stack->top + (uint64_t)(int64_t)from[-1].ra_from_top;
        chain_add_check(stack, &memory->checks[checks++], 0, address);
    }
    while (from-- > memory->added) {
        if (unlikely(!(kept >> from->module % 64 & 1)))
            modules |= 1ULL << from->module % 64;
        hash = chain_put(frame, from, hash, modules);
        if (needs_fp || from->rule.kind != RULE_CFA_FROM_SP) {
            if (likely(chain_is_usual(from->rule)))
                checks =
                    chain_add_usual_check(stack, memory, checks, frame, index, from, cfa, needs_fp);
            else
                checks = chain_add_checks(stack, memory, checks, frame, from, cfa, needs_fp);
        }
        frame->checks = (uint16_t)checks;
        needs_fp = frame->needs_fp;
        cfa = from->sp;
        frame++;
        index++;
    }
}

/* Forget all but so many of the innermost of `count` frames. */
static noinline void chain_drop_outermost(struct stack_memory *memory, uint32_t count,
                                          uint32_t kept)
{
    uint32_t gone = count - kept;
    uint16_t checks = memory->frames[gone - 1].checks;
    memmove(memory->checks, memory->checks + checks,
            sizeof(memory->checks) - checks * sizeof(*memory->checks));
    memmove(memory->frames, memory->frames + gone, kept * sizeof(*memory->frames));
    for (uint32_t i = 0; i < kept; i++) { /* a wipe may have come in between */
        uint16_t before = memory->frames[i].checks;
        memory->frames[i].checks = before > checks ? (uint16_t)(before - checks) : 0;
    }
    for (uint32_t i = 0; i < MEMORY_FRAMES * MEMORY_CHECKS_A_FRAME; i++)
        memory->checks[i].frame -= gone;
    memory->cut = true;
}

#endif
