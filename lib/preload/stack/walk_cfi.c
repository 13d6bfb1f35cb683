/* SPDX-License-Identifier: MIT */
/*
 * walk_cfi.c - the walker over .eh_frame.
 *
 * Nearly every step takes a short rule from the cache and moves pc, sp and fp alone. A frame whose
 * rule is not short has its tables run with all registers that are known. If one that is needed was
 * dropped by the short steps, the walk goes back to where all were known (its start, or the last
 * signal frame) and takes every step in full up to that frame.
 */
#include "walk.h"

#include "cfi.h"
#include "compiler.h"
#include "rule_cache.h"
#include "table.h"

/* Frames found by frame pointer alone may not be larger: beyond, it is rather some other value. */
#define FRAME_POINTER_REACH (1u << 20)

/* No code lies in the first pages, nor in the half of the address space that is the kernel's. */
#define CODE_LOW 0x1000u
#define CODE_HIGH 0x0001000000000000ULL

/* Steps of one walk, going back included: whatever the tables say, it ends. */
#define STEPS_MAX 16384u

#define SP_AND_FP (1ULL << ARCH_SP | 1ULL << ARCH_FP)

enum step {
    STEP_CALLER,    /* the registers are the caller's */
    STEP_OUTERMOST, /* there is no caller */
    STEP_LOST,      /* the rest cannot be found */
};

struct walk {
    struct stack_tables *tables;
    struct rule_cache *rules; /* NULL: no memory for it */
    uint64_t *frames;
    uint32_t limit, count, flags;
    bool outside;        /* the first frame outside our own object was met */
    uint32_t depth;      /* frames stepped over since `base` */
    uint32_t full_depth; /* up to this depth all registers are to be kept */
    struct registers registers;
    struct walk_base {
        struct registers registers;
        uint32_t count;
        bool outside;
    } base;
    struct stack_view view;
    struct modules_seen seen;
};

/* ---- one step -----------------------------------------------------------------------------------
 */

/* Not inlined: what the tables say takes much stack, and they are seldom read. */
static cold enum cfi_step run_tables(struct walk *walk, const struct module *module)
{
    struct rule_source source;
    if (!rule_read_tables(module, registers_lookup_pc(&walk->registers), &source))
        return CFI_STEP_FAILED;
    return cfi_step(&source.fde, &source.rules, source.image.end, &walk->view, &walk->registers);
}

/* A caller's frame lies above its callee's, and its stack pointer is a multiple of a word. */
static always_inline bool plausible_cfa(const struct registers *callee, uint64_t cfa)
{
    uint64_t sp = callee->value[ARCH_SP];
    return cfa % 8 == 0 && (cfa > sp || (ARCH_LEAF_CFA_IS_SP && callee->exact && cfa == sp));
}

static always_inline enum step short_step(struct walk *walk, struct rule rule)
{
    struct registers *registers = &walk->registers;
    uint64_t fp = registers->value[ARCH_FP], ra;
    uint64_t cfa = rule.kind == RULE_CFA_FROM_SP ? registers->value[ARCH_SP] : fp;
    cfa += (uint64_t)((int64_t)rule.cfa * 8);
    if (rule.kind == RULE_CFA_AT_FP && !stack_view_read(&walk->view, cfa, &cfa))
        return STEP_LOST;
    if (unlikely(!plausible_cfa(registers, cfa)) ||
        !stack_view_read(&walk->view, cfa + (uint64_t)((int64_t)rule.ra * 8), &ra))
        return STEP_LOST;
    uint64_t fp_at = rule.fp_how == RULE_FP_FROM_CFA ? cfa : fp;
    if (rule.fp_how != RULE_FP_SAME && rule.fp_how != RULE_FP_LOST &&
        !stack_view_read(&walk->view, fp_at + (uint64_t)((int64_t)rule.fp * 8), &fp))
        return STEP_LOST;
    registers->value[ARCH_SP] = cfa;
    registers->value[ARCH_FP] = fp;
    if (rule.fp_how == RULE_FP_SAME)
        registers->known &= SP_AND_FP;
    else
        registers->known = rule.fp_how == RULE_FP_LOST ? 1ULL << ARCH_SP : SP_AND_FP;
    registers->pc = arch_code_address(ra);
    registers->exact = false;
    return STEP_CALLER;
}

/* All registers are known here: a later frame that needs them is come to from here. */
static void set_base(struct walk *walk)
{
    walk->base.registers = walk->registers;
    walk->base.count = walk->count;
    walk->base.outside = walk->outside;
    walk->depth = walk->full_depth = 0;
}

/* Go back to where all registers were known and come again, keeping them all. */
static enum step start_over(struct walk *walk)
{
    if (walk->full_depth > walk->depth)
        return STEP_LOST; /* they were kept: no use */
    walk->full_depth = walk->depth + 1;
    walk->depth = 0;
    walk->count = walk->base.count;
    walk->outside = walk->base.outside;
    walk->registers = walk->base.registers;
    return STEP_CALLER;
}

static cold enum step full_step(struct walk *walk, const struct module *module)
{
    uint64_t sp = walk->registers.value[ARCH_SP];
    const struct registers callee = walk->registers;
    switch (run_tables(walk, module)) {
    case CFI_STEP_CALLER:
        break;
    case CFI_STEP_OUTERMOST:
        return STEP_OUTERMOST;
    case CFI_STEP_UNKNOWN:
        return start_over(walk);
    default:
        return STEP_LOST;
    }
    /* Only a signal handler may have run on another stack, above or below. */
    if (!walk->registers.exact && !plausible_cfa(&callee, walk->registers.value[ARCH_SP]))
        return STEP_LOST;
    if (walk->registers.exact && walk->registers.value[ARCH_SP] == sp)
        return STEP_LOST;
    walk->depth++;
    if (walk->registers.exact)
        set_base(walk);
    return STEP_CALLER;
}

/* Code without a description: made at run time, or assembly. It may keep a frame pointer. */
static cold enum step frame_pointer_step(struct walk *walk)
{
    struct registers *registers = &walk->registers;
    uint64_t sp = registers->value[ARCH_SP], fp = registers->value[ARCH_FP], caller_fp, ra;
    if (!registers_know(registers, ARCH_FP))
        return STEP_LOST;
    if (fp == 0)
        return STEP_OUTERMOST; /* as the ABI has the first frame marked */
    if (fp % 8 != 0 || fp < sp || fp - sp > FRAME_POINTER_REACH ||
        !stack_view_read(&walk->view, fp, &caller_fp) || !stack_view_read(&walk->view, fp + 8, &ra))
        return STEP_LOST;
    registers->value[ARCH_SP] = fp + 16;
    registers->value[ARCH_FP] = caller_fp;
    registers->known = SP_AND_FP;
    registers->pc = arch_code_address(ra);
    registers->exact = false;
    return STEP_CALLER;
}

static always_inline enum step step(struct walk *walk, const struct module *module,
                                    struct rule rule)
{
    switch (rule.kind) {
    case RULE_OUTERMOST:
        return STEP_OUTERMOST;
    case RULE_NOT_DESCRIBED:
        return frame_pointer_step(walk);
    case RULE_COMPLEX:
        return full_step(walk, module);
    default:
        if (unlikely(walk->depth < walk->full_depth))
            return full_step(walk, module);
        if (unlikely(!registers_know(&walk->registers, ARCH_FP)) && rule.kind != RULE_CFA_FROM_SP)
            return STEP_LOST;
        walk->depth++;
        return short_step(walk, rule);
    }
}

/* ---- the walk -----------------------------------------------------------------------------------
 */

static void walk_frames(struct walk *walk, const struct walk_own *own)
{
    for (uint32_t steps = 0; steps < STEPS_MAX; steps++) {
        const struct registers *registers = &walk->registers;
        uint64_t pc = registers->pc;
        if (pc == 0)
            return;
        const struct module *module =
            modules_find(&walk->tables->module_index, &walk->seen, registers_lookup_pc(registers));
        struct rule rule = rule_find(walk->rules, module, registers_lookup_pc(registers));
        if (module == NULL ? pc < CODE_LOW || pc >= CODE_HIGH : rule.kind == RULE_NOT_CODE)
            break;
        walk->outside |= pc - own->start >= own->end - own->start;
        if (walk->outside) {
            if (walk->count == walk->limit) {
                walk->flags |= MALLOCTAP_STACK_LIMITED;
                return;
            }
            walk->frames[walk->count++] = walk_frame(module, pc, registers->exact);
        }
        enum step how = step(walk, module, rule);
        if (how == STEP_OUTERMOST)
            return;
        if (how == STEP_LOST)
            break;
    }
    walk->flags |= MALLOCTAP_STACK_TRUNCATED;
}

noinline uint32_t walk_cfi(struct stack_tables *tables, const struct walk_own *own,
                           uint64_t *frames, uint32_t limit, uint32_t *flags)
{
    struct walk walk;
    walk.tables = tables;
    walk.rules = table_get(&tables->rule_cache, sizeof(*walk.rules));
    walk.frames = frames;
    walk.limit = limit;
    walk.count = walk.flags = 0;
    walk.outside = false;
    modules_seen_init(&walk.seen);
    walk.registers.exact = true;
    walk.registers.known = arch_registers(walk.registers.value, &walk.registers.pc);
    stack_view_init(&walk.view, walk.registers.value[ARCH_SP]);
    set_base(&walk);
    walk_frames(&walk, own);
    *flags |= walk.flags;
    return walk.count;
}
