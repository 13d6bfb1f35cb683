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
#include "walk_step.h"

/* Steps of one walk, going back included: whatever the tables say, it ends. */
#define STEPS_MAX 16384u

#define SP_AND_FP (1ULL << ARCH_SP | 1ULL << ARCH_FP)

struct walk {
    struct stack_tables *tables;
    struct rule_cache *rules; /* NULL: no memory for it */
    uint64_t *frames;
    uint32_t limit, count, flags;
    bool outside;               /* the first frame outside our own object was met */
    uint32_t depth;             /* frames stepped over */
    uint32_t full_depth;        /* up to this depth all registers are to be kept */
    struct registers registers; /* as of the last full step; short ones move a position alone */
    struct registers start;     /* where all registers were known */
    struct stack_view view;
    struct modules_seen seen;
};

/* Make the walk's registers those of the position; nothing else is known once it has moved. */
static void settle(struct walk *walk, const struct position *position)
{
    struct registers *registers = &walk->registers;
    if (position->sp == registers->value[ARCH_SP] && position->pc == registers->pc)
        return;
    registers->pc = position->pc;
    registers->exact = position->exact;
    registers->value[ARCH_SP] = position->sp;
    registers->value[ARCH_FP] = position->fp;
    registers->known = position->fp_known ? SP_AND_FP : 1ULL << ARCH_SP;
}

/* ---- one step -------------------------------------------------------------------------------- */

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

/* Code without a description: what it pushed is not known, so no other register is either. */
static enum step undescribed_step(struct walk *walk)
{
    struct position at = position_of(&walk->registers);
    enum step how = frame_pointer_step(&walk->view, &at);
    settle(walk, &at);
    walk->depth++;
    return how;
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
        return undescribed_step(walk);
    default:
        return full_step(walk, module);
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

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
        uintptr_t place = position_place(&at);
        if (at.pc == 0)
            return;
        const struct module *module = modules_find(&walk->tables->module_index, &walk->seen, place);
        struct rule rule = rule_find(walk->rules, module, place);
        if (unlikely(!is_code(module != NULL, rule, at.pc)))
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
