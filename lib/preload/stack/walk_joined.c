/* SPDX-License-Identifier: MIT */
/*
 * walk_joined.c - a walk that joins the stack which the thread took before.
 *
 * All that a step reads beside the tables are words of the stack. So first the words that the
 * remembered steps read are compared with what they held, from the outermost frame inwards: as far
 * as they agree, a walk that arrives at a remembered frame (the same pc, sp and, if it matters, fp)
 * would go on as it did then, if the modules are the ones they were. Then the stack is walked from
 * its innermost frame until it arrives at one.
 *
 * So a frame is remembered only if its step is a function of pc, sp, fp and words of the thread's
 * own stack. A stack that needs more (a signal frame, a coroutine's) or cannot be walked to its end
 * is left to the full walk.
 */
#include "walk.h"

#include "caller.h"
#include "compiler.h"
#include "depot.h"
#include "memory.h"
#include "places.h"
#include "walk_step.h"

#include <assert.h>
#include <string.h>

/* Our own frames below a capture; no path through the tap has as many. */
#define OWN_FRAMES_MAX 64u

static_assert(MEMORY_FRAMES > MALLOCTAP_STACK_FRAMES_MAX + 1, "a frame beyond the limit is seen");
static_assert(MEMORY_FRAMES * MEMORY_CHECKS_A_FRAME <= UINT16_MAX, "checks are counted in 16 bits");

struct joined {
    struct places places;
    uint64_t low, top; /* where the thread's own stack is in use */
    uint32_t limit;
    uint32_t count; /* remembered frames that may be joined: verified, and not inside the walk */
    uint32_t added; /* frames walked */
};

/* How a walk ended. */
enum outcome {
    OUTCOME_JOINED, /* at a remembered frame */
    OUTCOME_WHOLE,  /* at the outermost frame */
    OUTCOME_CUT,    /* not there, but with more frames than are wanted */
    OUTCOME_LOST,   /* this takes a full walk */
};

/* So many frames are kept of a stack that has more: room for it to grow and to shrink. */
static always_inline uint32_t frames_kept(uint32_t limit)
{
    return (MEMORY_FRAMES + limit) / 2;
}

/* ---- the remembered frames ------------------------------------------------------------------- */

/* What is in the memory, if it is this process's and for this limit. */
static always_inline uint32_t recollect(struct joined *walk)
{
    struct stack_memory *memory = walk->places.memory;
    uint64_t count = memory->chain - (uintptr_t)walk->places.rules;
    if (likely(count <= MEMORY_FRAMES && memory->limit == walk->limit))
        return (uint32_t)count;
    places_forget_all(&walk->places);
    memset(memory->stacks, 0, sizeof(memory->stacks));
    memory->limit = walk->limit;
    memory->power = depot_hash_power(walk->limit);
    return 0;
}

/* How many of the frames, from the outermost on, lead on as they did: all but the one whose step
 * read the first word that has changed, and those inside it. */
static always_inline uint32_t verified_frames(const struct stack_memory *memory, uint64_t top,
                                              uint32_t count)
{
    const struct memory_check *check = memory->checks;
    const struct memory_check *end = check + memory->frames[count - 1].checks;
    for (; check < end; check++) {
        if (unlikely(stack_view_load(top + (uint64_t)(int64_t)check->from_top) != check->word))
            return check->frame < count ? check->frame : count;
    }
    return count;
}

/* Those of the frames up to `last` that are not inside sp; their number is `last` - frames + 1. */
static always_inline const struct memory_frame *
not_inside(const struct memory_frame *frames, const struct memory_frame *last, uint64_t sp)
{
    while (last >= frames && last->sp < sp)
        last--;
    return last;
}

/* Which remembered frames may be joined. Those that have returned read what is no stack any more.
 */
static always_inline void begin(struct joined *walk, uint64_t sp)
{
    const struct stack_memory *memory = walk->places.memory;
    const struct memory_frame *frames = memory->frames;
    uint32_t count = (uint32_t)(not_inside(frames, frames + recollect(walk) - 1, sp) + 1 - frames);
    walk->count = count > 0 ? verified_frames(memory, walk->top, count) : 0;
}

/* Whether the walk, which is at this frame's place, has arrived at it. */
static always_inline bool joins(struct joined *walk, const struct position *at,
                                const struct memory_frame *frame, uint32_t added)
{
    const struct stack_memory *memory = walk->places.memory;
    if (unlikely(frame->needs_fp) && !(at->fp_known && at->fp == frame->fp))
        return false;
    /* A stack that was cut off must have frames enough. */
    if (unlikely(memory->cut) && added + (frame - memory->frames) + 1 <= walk->limit)
        return false;
    return places_verify(&walk->places, frame->modules);
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Whether a word is on the thread's own stack: no other is read here. */
static always_inline bool own_word(const struct joined *walk, uint64_t address)
{
    return address >= walk->low && address <= walk->top - sizeof(uint64_t);
}

/* Whether all that a step from there by this rule reads is on the thread's own stack. */
static bool reads_own_stack(const struct joined *walk, const struct rule *rule,
                            const struct position *at, uint64_t cfa)
{
    return own_word(walk, words_from(cfa, rule->ra)) &&
           (rule->fp_how != RULE_FP_FROM_CFA || own_word(walk, words_from(cfa, rule->fp))) &&
           (rule->fp_how != RULE_FP_FROM_FP || own_word(walk, words_from(at->fp, rule->fp)));
}

/* short_step() where nothing but the own stack is read. */
static noinline enum step own_step(const struct joined *walk, const struct rule *rule,
                                   struct position *at)
{
    uint64_t fp = at->fp;
    if (rule->kind != RULE_CFA_FROM_SP && !at->fp_known)
        return STEP_LOST;
    uint64_t cfa = words_from(rule->kind == RULE_CFA_FROM_SP ? at->sp : fp, rule->cfa);
    if (rule->kind == RULE_CFA_AT_FP) {
        if (!own_word(walk, cfa))
            return STEP_LOST;
        cfa = stack_view_load(cfa);
    }
    if (!plausible_cfa(cfa, at->sp, false) || !reads_own_stack(walk, rule, at, cfa))
        return STEP_LOST;
    if (rule->fp_how == RULE_FP_FROM_CFA)
        at->fp = stack_view_load(words_from(cfa, rule->fp));
    if (rule->fp_how == RULE_FP_FROM_FP)
        at->fp = stack_view_load(words_from(fp, rule->fp));
    if (rule->fp_how != RULE_FP_SAME)
        at->fp_known = rule->fp_how != RULE_FP_LOST;
    at->sp = cfa;
    at->pc = arch_code_address(stack_view_load(words_from(cfa, rule->ra)));
    return STEP_CALLER;
}

/* Code without a description. */
static noinline enum step undescribed_step(const struct joined *walk, struct position *at)
{
    struct stack_view view = {.own_low = walk->low, .own_words = walk->top - walk->low - 7};
    if (at->fp_known && at->fp != 0 && !(own_word(walk, at->fp) && own_word(walk, at->fp + 8)))
        return STEP_LOST;
    return frame_pointer_step(&view, at);
}

static noinline enum step other_step(const struct joined *walk, const struct rule *rule,
                                     struct position *at)
{
    if (rule->kind <= RULE_CFA_AT_FP)
        return own_step(walk, rule, at);
    if (rule->kind == RULE_NOT_DESCRIBED)
        return undescribed_step(walk, at);
    return rule->kind == RULE_OUTERMOST ? STEP_OUTERMOST : STEP_LOST;
}

/* The step from a frame at this place. */
static always_inline enum step step(const struct joined *walk, const struct memory_place *place,
                                    struct position *at)
{
    const struct rule *rule = &place->rule;
    if (unlikely(!place->plain)) {
        /* By way of a copy, so that the position itself can stay in the processor's registers. */
        struct position copy = *at;
        enum step how = other_step(walk, rule, &copy);
        *at = copy;
        return how;
    }
    uint64_t cfa = words_from(at->sp, rule->cfa);
    if (unlikely(cfa > walk->top))
        return STEP_LOST;
    if (rule->fp_how == RULE_FP_FROM_CFA) {
        at->fp = stack_view_load(words_from(cfa, rule->fp));
        at->fp_known = true;
    }
    at->sp = cfa;
    at->pc = arch_code_address(stack_view_load(words_from(cfa, rule->ra)));
    return STEP_CALLER;
}

/* Leave our own frames behind. False: it takes a full walk. */
static cold bool leave_own(struct joined *walk, const struct walk_own *own, struct position *at)
{
    for (uint32_t i = 0; at->pc - own->start < own->end - own->start; i++) {
        struct memory_place other;
        const struct memory_place *place = places_find(&walk->places, position_place(at), &other);
        if (i == OWN_FRAMES_MAX || place == NULL || place->rule.kind > RULE_CFA_AT_FP ||
            own_step(walk, &place->rule, at) != STEP_CALLER)
            return false;
        at->exact = false;
    }
    return true;
}

static always_inline void add_frame(struct memory_new_frame *frame, const struct position *at,
                                    const struct memory_place *place)
{
    frame->pc = at->pc;
    frame->sp = at->sp;
    frame->fp = at->fp;
    frame->spread = place->spread;
    frame->rule = place->rule;
    frame->module = place->module;
}

/* From the first frame that is not ours, until remembered frames are joined or there are no more.
 */
static always_inline enum outcome walk_on(struct joined *walk, struct position *ret)
{
    struct stack_memory *memory = walk->places.memory;
    const struct memory_frame *frames = memory->frames, *last = frames + walk->count - 1;
    const uint32_t most = frames_kept(walk->limit);
    struct position at = *ret;
    enum outcome outcome = OUTCOME_CUT;
    uint32_t added = 0;
    for (; added < most; added++) {
        struct memory_place other;
        last = not_inside(frames, last, at.sp);
        if (last >= frames && last->sp == at.sp && last->pc == at.pc &&
            joins(walk, &at, last, added)) {
            outcome = OUTCOME_JOINED;
            break;
        }
        if (unlikely(at.pc == 0)) {
            outcome = OUTCOME_WHOLE;
            break;
        }
        const struct memory_place *place = places_find(&walk->places, at.pc - 1, &other);
        if (unlikely(place == NULL) ||
            unlikely(!is_code(place->module != NO_MODULE, place->rule, at.pc))) {
            outcome = OUTCOME_LOST;
            break;
        }
        if (unlikely(walk->places.forgotten))
            last = frames - 1;
        add_frame(&memory->added[added], &at, place);
        enum step how = step(walk, place, &at);
        if (unlikely(how != STEP_CALLER)) {
            outcome = how == STEP_OUTERMOST ? OUTCOME_WHOLE : OUTCOME_LOST;
            added++;
            break;
        }
    }
    *ret = at;
    walk->count = (uint32_t)(last + 1 - frames);
    walk->added = added;
    return outcome;
}

/* ---- remembering ----------------------------------------------------------------------------- */

/* After a wipe an address may be anything: then the word at the top stands in. */
static always_inline void add_check(const struct joined *walk, struct memory_check *check,
                                    uint32_t frame, uint64_t address)
{
    if (unlikely(!own_word(walk, address)))
        address = walk->top;
    check->from_top = (int32_t)(address - walk->top);
    check->frame = frame;
    check->word = stack_view_load(address);
}

/* The words that a step reads where fp matters, to it or to a frame outside it. */
static noinline uint32_t add_fp_checks(const struct joined *walk, struct memory_check *checks,
                                       struct memory_frame *frame, const struct rule *rule,
                                       uint64_t cfa, bool outer_needs_fp)
{
    uint32_t count = 0, index = (uint32_t)(frame - walk->places.memory->frames);
    frame->needs_fp = rule->kind != RULE_CFA_FROM_SP;
    if (rule->kind == RULE_CFA_AT_FP)
        add_check(walk, &checks[count++], index, words_from(frame->fp, rule->cfa));
    if (rule->kind == RULE_NOT_DESCRIBED)
        add_check(walk, &checks[count++], index, frame->fp);
    if (!outer_needs_fp || rule->kind == RULE_NOT_DESCRIBED)
        return count;
    if (rule->fp_how == RULE_FP_SAME || rule->fp_how == RULE_FP_FROM_FP)
        frame->needs_fp = true;
    if (rule->fp_how == RULE_FP_FROM_CFA)
        add_check(walk, &checks[count++], index, words_from(cfa, rule->fp));
    if (rule->fp_how == RULE_FP_FROM_FP)
        add_check(walk, &checks[count++], index, words_from(frame->fp, rule->fp));
    return count;
}

/* Where the return address that led to `cfa` is. */
static always_inline uint64_t return_address_at(const struct rule *rule, uint64_t cfa)
{
    return rule->kind == RULE_NOT_DESCRIBED ? cfa - 8 : words_from(cfa, rule->ra);
}

/* Put the frames that were added inside those that were joined, the outermost one first. */
static always_inline void append(struct joined *walk, const struct position *end, bool leads_on)
{
    struct stack_memory *memory = walk->places.memory;
    struct memory_frame *frame = &memory->frames[walk->count];
    uint64_t hash = 0, modules = 0, cfa = end->sp;
    uint32_t checks = 0, index = walk->count;
    bool needs_fp = false;
    if (index > 0) {
        hash = frame[-1].hash;
        modules = frame[-1].modules;
        checks = frame[-1].checks;
        needs_fp = frame[-1].needs_fp;
    }
    for (uint32_t i = walk->added; i-- > 0; frame++, index++) {
        const struct memory_new_frame *from = &memory->added[i];
        uint32_t module = from->module;
        frame->pc = from->pc;
        frame->sp = from->sp;
        frame->fp = from->fp;
        frame->hash = hash = depot_hash_add(hash, from->spread);
        frame->modules = modules |= 1ULL << module % 64;
        frame->module = (uint8_t)module;
        frame->needs_fp = false;
        if (unlikely(!leads_on)) {
            frame->needs_fp = from->rule.kind == RULE_NOT_DESCRIBED;
        } else {
            if (unlikely(needs_fp || from->rule.kind != RULE_CFA_FROM_SP))
                checks +=
                    add_fp_checks(walk, &memory->checks[checks], frame, &from->rule, cfa, needs_fp);
            add_check(walk, &memory->checks[checks++], index, return_address_at(&from->rule, cfa));
        }
        frame->checks = (uint16_t)checks;
        needs_fp = frame->needs_fp;
        leads_on = true;
        cfa = from->sp;
    }
}

/* Forget the outermost frames, so that there is room for those that were added. */
static noinline void make_room(struct joined *walk)
{
    struct stack_memory *memory = walk->places.memory;
    uint32_t kept = frames_kept(walk->limit) - walk->added;
    uint32_t gone = walk->count - kept;
    uint16_t checks = memory->frames[gone - 1].checks;
    memmove(memory->checks, memory->checks + checks,
            sizeof(memory->checks) - checks * sizeof(*memory->checks));
    memmove(memory->frames, memory->frames + gone, kept * sizeof(*memory->frames));
    for (uint32_t i = 0; i < kept; i++) { /* a wipe may have come in between */
        uint16_t before = memory->frames[i].checks;
        memory->frames[i].checks = before > checks ? (uint16_t)(before - checks) : 0;
    }
    for (uint32_t i = 0; i < kept * MEMORY_CHECKS_A_FRAME; i++)
        memory->checks[i].frame -= gone;
    memory->cut = true;
    walk->count = kept;
}

/* Make the memory the stack that was walked. */
static always_inline void remember(struct joined *walk, enum outcome outcome,
                                   const struct position *end)
{
    struct stack_memory *memory = walk->places.memory;
    bool leads_on = true;
    if (unlikely(outcome != OUTCOME_JOINED)) {
        walk->count = 0;
        memory->cut = outcome == OUTCOME_CUT;
        leads_on = outcome == OUTCOME_WHOLE && end->pc == 0;
    } else if (unlikely(walk->count + walk->added > MEMORY_FRAMES)) {
        make_room(walk);
    }
    append(walk, end, leads_on);
    walk->count += walk->added;
}

/* ---- its id ---------------------------------------------------------------------------------- */

static noinline uint32_t intern_slowly(struct joined *walk, uint32_t count, uint32_t flags,
                                       uint64_t hash)
{
    struct stack_memory *memory = walk->places.memory;
    for (uint32_t i = 0; i < count; i++) {
        const struct memory_frame *frame = &memory->frames[walk->count - 1 - i];
        memory->packed[i] = frame->pc + memory->modules[frame->module % 64].packing;
    }
    return depot_intern_hashed(&walk->places.tables->depot_index, memory->packed, count, flags,
                               hash);
}

/* The id of the frames. That two stacks should have the same 64 bits of hash is less likely than
 * that memory fails. */
static always_inline uint32_t intern(struct joined *walk, uint32_t *flags)
{
    struct stack_memory *memory = walk->places.memory;
    uint32_t count = walk->count;
    if (unlikely(count == 0))
        return 0;
    uint64_t hash = memory->frames[count - 1].hash;
    if (unlikely(count > walk->limit)) {
        hash -= memory->frames[count - 1 - walk->limit].hash * memory->power;
        count = walk->limit;
        *flags |= MALLOCTAP_STACK_LIMITED;
    }
    uint64_t key = hash ^ *flags;
    struct memory_stack *stack =
        &memory->stacks[(key ^ key >> 32) * DEPOT_HASH_SPREAD >> 54 & (MEMORY_STACKS - 1)];
    if (likely(stack->hash == key) && likely(stack->id != 0))
        return stack->id;
    uint32_t id = intern_slowly(walk, count, *flags, hash);
    *stack = (struct memory_stack){key, id};
    return id;
}

/* ---------------------------------------------------------------------------------------------- */

/* Where a walk begins: at the caller, or, if that is not known, here. */
static always_inline struct position first_position(const struct stack_caller *caller)
{
    if (likely(caller->pc != 0))
        return (struct position){
            .pc = caller->pc, .sp = caller->sp, .fp = caller->fp, .fp_known = true};
    struct registers registers;
    registers.exact = true;
    registers.known = arch_registers(registers.value, &registers.pc);
    return position_of(&registers);
}

noinline bool walk_joined(struct stack_tables *tables, struct rule_cache *rules,
                          const struct walk_own *own, const struct stack_caller *caller,
                          struct stack_memory *memory, uint32_t limit, uint32_t *flags,
                          uint32_t *id)
{
    struct joined walk;
    struct position at = first_position(caller);
    struct stack_view view;
    places_begin(&walk.places, tables, rules, memory);
    stack_view_init(&view, at.sp);
    if (unlikely(limit == 0) || unlikely(view.own_words == 0))
        return false;
    walk.limit = limit;
    walk.low = at.sp;
    walk.top = own_stack.top;
    begin(&walk, at.sp);
    uint32_t before = walk.count;
    enum outcome outcome = OUTCOME_LOST;
    if (likely(at.pc - own->start >= own->end - own->start) || leave_own(&walk, own, &at))
        outcome = walk_on(&walk, &at);
    if (unlikely(outcome == OUTCOME_LOST)) {
        memory->chain = (uintptr_t)rules + (walk.places.forgotten ? 0 : before);
        return false;
    }
    remember(&walk, outcome, &at);
    *id = intern(&walk, flags);
    memory->id = *id;
    memory->chain = (uintptr_t)rules + walk.count;
    return true;
}
