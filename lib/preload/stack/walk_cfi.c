/* SPDX-License-Identifier: MIT */
/*
 * walk_cfi.c - the walker over .eh_frame.
 *
 * Nearly every step takes a short rule from the cache and moves pc, sp and fp alone. A frame whose
 * rule is not short has its tables run with all registers that are known. If one that is needed was
 * dropped by the short steps, the walk starts again and takes every step in full up to that frame.
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
    bool outside;               /* the first frame outside our own object was met */
    uint32_t depth;             /* frames stepped over */
    uint32_t full_depth;        /* up to this depth all registers are to be kept */
    struct registers registers; /* as of the last full step; see struct position */
    struct registers start;     /* where all registers were known */
    struct stack_view view;
    struct modules_seen seen;
};

/* What short steps move: kept apart from the other registers, so that it stays in the processor's.
 */
struct position {
    uint64_t pc, sp, fp;
    bool exact, fp_known;
    bool moved; /* since the walk's registers were right */
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

/* Make the walk's registers those of the position. */
static void settle(struct walk *walk, const struct position *position)
{
    struct registers *registers = &walk->registers;
    if (!position->moved)
        return;
    registers->pc = position->pc;
    registers->exact = position->exact;
    registers->value[ARCH_SP] = position->sp;
    registers->value[ARCH_FP] = position->fp;
    registers->known = position->fp_known ? SP_AND_FP : 1ULL << ARCH_SP;
}

/* A caller's frame lies above its callee's, and its stack pointer is a multiple of a word. */
static always_inline bool plausible_cfa(uint64_t cfa, uint64_t callee_sp, bool callee_exact)
{
    return cfa % 8 == 0 &&
           (cfa > callee_sp || (ARCH_LEAF_CFA_IS_SP && callee_exact && cfa == callee_sp));
}

/* ---- one step ---------------------------------------------------------------------------------
 */

static always_inline bool is_short(struct rule rule, const struct position *position)
{
    return rule.kind == RULE_CFA_FROM_SP ||
           ((rule.kind == RULE_CFA_FROM_FP || rule.kind == RULE_CFA_AT_FP) && position->fp_known);
}

static always_inline bool read_word(struct stack_view *view, uint64_t base, int16_t words,
                                    uint64_t *ret)
{
    return stack_view_read(view, base + (uint64_t)(words * INT64_C(8)), ret);
}

/* False: the rest cannot be found. */
static always_inline bool short_step(struct stack_view *view, struct rule rule,
                                     struct position *position)
{
    uint64_t fp = position->fp, ra;
    uint64_t cfa = rule.kind == RULE_CFA_FROM_SP ? position->sp : fp;
    cfa += (uint64_t)(rule.cfa * INT64_C(8));
    if (unlikely(rule.kind == RULE_CFA_AT_FP) && !stack_view_read(view, cfa, &cfa))
        return false;
    if (unlikely(!plausible_cfa(cfa, position->sp, position->exact)) ||
        !read_word(view, cfa, rule.ra, &ra))
        return false;
    if (rule.fp_how == RULE_FP_FROM_CFA && !read_word(view, cfa, rule.fp, &position->fp))
        return false;
    if (unlikely(rule.fp_how == RULE_FP_FROM_FP) && !read_word(view, fp, rule.fp, &position->fp))
        return false;
    if (rule.fp_how != RULE_FP_SAME)
        position->fp_known = rule.fp_how != RULE_FP_LOST;
    position->sp = cfa;
    position->pc = arch_code_address(ra);
    position->exact = false;
    position->moved = true;
    return true;
}

/* Go back to where all registers were known and come again, keeping them. */
static enum step start_over(struct walk *walk)
{
    if (walk->full_depth > walk->depth)
        return STEP_LOST; /* they were kept: no use */
    walk->full_depth = walk->depth + 1;
    walk->depth = walk->count = 0;
    walk->outside = false;
    walk->registers = walk->start;
    return STEP_CALLER;
}

/* Not inlined, as learning a rule is not: what the tables say takes much stack. */
static cold enum cfi_step run_tables(struct walk *walk, const struct module *module)
{
    struct rule_source source;
    if (!rule_read_tables(module, registers_lookup_pc(&walk->registers), &source))
        return CFI_STEP_FAILED;
    return cfi_step(&source.fde, &source.rules, source.image.end, &walk->view, &walk->registers);
}

static enum step full_step(struct walk *walk, const struct module *module)
{
    const struct registers *registers = &walk->registers;
    uint64_t callee_sp = registers->value[ARCH_SP];
    bool callee_exact = registers->exact;
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
    walk->depth++;
    /* A signal handler may have run on another stack, above or below. */
    bool plausible = registers->exact
                         ? registers->value[ARCH_SP] != callee_sp
                         : plausible_cfa(registers->value[ARCH_SP], callee_sp, callee_exact);
    return plausible ? STEP_CALLER : STEP_LOST;
}

/* Code without a description: made at run time, or assembly. It may keep a frame pointer. */
static enum step frame_pointer_step(struct walk *walk)
{
    struct registers *registers = &walk->registers;
    uint64_t sp = registers->value[ARCH_SP], fp = registers->value[ARCH_FP], caller_fp, ra;
    if (!registers_know(registers, ARCH_FP))
        return STEP_LOST;
    if (fp == 0)
        return STEP_OUTERMOST; /* as the ABI has the first frame marked */
    if (fp % 8 != 0 || fp - sp > FRAME_POINTER_REACH ||
        !stack_view_read(&walk->view, fp, &caller_fp) || !stack_view_read(&walk->view, fp + 8, &ra))
        return STEP_LOST;
    registers->value[ARCH_SP] = fp + 16;
    registers->value[ARCH_FP] = caller_fp;
    registers->known = SP_AND_FP;
    registers->pc = arch_code_address(ra);
    registers->exact = false;
    walk->depth++;
    return STEP_CALLER;
}

/* A step that is not short, on the walk's registers. */
static cold enum step long_step(struct walk *walk, const struct module *module, uint8_t kind)
{
    switch (kind) {
    case RULE_OUTERMOST:
        return STEP_OUTERMOST;
    case RULE_NOT_CODE:
        return STEP_LOST;
    case RULE_NOT_DESCRIBED:
        return frame_pointer_step(walk);
    default:
        return full_step(walk, module);
    }
}

/* ---- the walk ---------------------------------------------------------------------------------
 */

/* Whether an address can be a frame's: in no object, generated code is anywhere but here. */
static always_inline bool is_code(const struct module *module, struct rule rule, uint64_t pc)
{
    return module == NULL ? pc >= CODE_LOW && pc < CODE_HIGH : rule.kind != RULE_NOT_CODE;
}

/* False: there is no room for one more. */
static always_inline bool add_frame(struct walk *walk, const struct walk_own *own,
                                    const struct module *module, const struct position *position)
{
    walk->outside = walk->outside || position->pc - own->start >= own->end - own->start;
    if (unlikely(!walk->outside))
        return true;
    if (unlikely(walk->count == walk->limit)) {
        walk->flags |= MALLOCTAP_STACK_LIMITED;
        return false;
    }
    walk->frames[walk->count++] = walk_frame(module, position->pc, position->exact);
    return true;
}

static always_inline void walk_frames(struct walk *walk, const struct walk_own *own)
{
    struct position at = position_of(&walk->registers);
    for (uint32_t steps = 0; steps < STEPS_MAX; steps++) {
        uintptr_t place = at.pc - !at.exact;
        if (at.pc == 0)
            return;
        const struct module *module = modules_find(&walk->tables->module_index, &walk->seen, place);
        struct rule rule = rule_find(walk->rules, module, place);
        if (unlikely(!is_code(module, rule, at.pc)))
            break;
        if (unlikely(!add_frame(walk, own, module, &at)))
            return;
        if (likely(is_short(rule, &at) && walk->depth >= walk->full_depth)) {
            if (unlikely(!short_step(&walk->view, rule, &at)))
                break;
            walk->depth++;
            continue;
        }
        settle(walk, &at);
        enum step how = long_step(walk, module, rule.kind);
        if (how == STEP_OUTERMOST)
            return;
        if (how == STEP_LOST)
            break;
        at = position_of(&walk->registers);
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
    walk.count = walk.flags = walk.depth = walk.full_depth = 0;
    walk.outside = false;
    modules_seen_init(&walk.seen);
    walk.registers.exact = true;
    walk.registers.known = arch_registers(walk.registers.value, &walk.registers.pc);
    stack_view_init(&walk.view, walk.registers.value[ARCH_SP]);
    walk.start = walk.registers;
    walk_frames(&walk, own);
    *flags |= walk.flags;
    return walk.count;
}
