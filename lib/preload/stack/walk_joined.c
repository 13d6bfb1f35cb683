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
 *
 * Before all that, a stack may be known as a whole: see recall.h.
 */
#include "walk.h"

#include "caller.h"
#include "chain.h"
#include "compiler.h"
#include "recall.h"

#include <assert.h>

/* Our own frames below a capture; no path through the tap has as many. */
#define OWN_FRAMES_MAX 64u

/* An fp that no rule can start from. */
#define FP_UNKNOWN 1u

static_assert(MEMORY_FRAMES > MALLOCTAP_STACK_FRAMES_MAX + 1, "a frame beyond the limit is seen");

struct joined {
    struct places places;
    struct chain_stack stack;
    uint32_t limit;
    uint32_t count; /* remembered frames that may be joined: verified, and not inside the walk */
    uint32_t added; /* frames walked */
    bool from_sp;   /* by plain steps from sp only, in modules that stay: any other is verified, and
                     * so not met by a plain step at first */
};

/* How a walk ended. */
enum outcome {
    OUTCOME_JOINED, /* at a remembered frame */
    OUTCOME_WHOLE,  /* at the outermost frame */
    OUTCOME_CUT,    /* not there, but with more frames than are wanted */
    OUTCOME_LOST,   /* this takes a full walk */
};

/* ---- the remembered frames ------------------------------------------------------------------- */

/* Begin anew, in this process. Memory that was never used is zero, and better not touched. */
static cold void forget(struct stack_memory *memory, const struct rule_cache *rules, uint32_t limit)
{
    if (memory->limit != 0)
        memset(memory, 0, sizeof(*memory));
    memory->limit = limit;
    memory->power = depot_hash_power(limit);
    memory->chain = (uintptr_t)rules;
}

/* Whether what is remembered is of this process, and of such stacks. */
static always_inline bool remembers(const struct stack_memory *memory,
                                    const struct rule_cache *rules, uint32_t limit)
{
    return likely(memory->chain - (uintptr_t)rules <= MEMORY_FRAMES) &&
           likely(memory->limit == limit);
}

/* How many frames are remembered. */
static always_inline uint32_t recollect(const struct joined *walk)
{
    uint64_t count = walk->places.memory->chain - (uintptr_t)walk->places.rules;
    return likely(count <= MEMORY_FRAMES) ? (uint32_t)count : 0;
}

/* Of those that have returned, the words are no stack any more. */
static always_inline uint32_t joinable(const struct joined *walk, uint32_t count, uint64_t sp)
{
    const struct stack_memory *memory = walk->places.memory;
    return chain_verified(memory, &walk->stack, chain_not_inside(memory->frames, count, sp));
}

/* Whether the walk, which is at this frame's place, has arrived at it. */
static always_inline bool joins(struct joined *walk, uint64_t fp, const struct memory_frame *frame,
                                uint32_t added)
{
    const struct stack_memory *memory = walk->places.memory;
    if (unlikely(frame->needs_fp) && fp != frame->fp)
        return false;
    /* A stack that was cut off must have frames enough. */
    if (unlikely(memory->cut) && added + (frame - memory->frames) + 1 <= walk->limit)
        return false;
    return places_verify(&walk->places, frame->modules);
}

/* ---- steps that are not plain ---------------------------------------------------------------- */

/* Whether all that a step from there by this rule reads is on the thread's own stack. */
static bool reads_own_stack(const struct chain_stack *stack, const struct rule *rule,
                            const struct position *at, uint64_t cfa)
{
    return chain_own_word(stack, words_from(cfa, rule->ra)) &&
           (rule->fp_how != RULE_FP_FROM_CFA || chain_own_word(stack, words_from(cfa, rule->fp))) &&
           (rule->fp_how != RULE_FP_FROM_FP || chain_own_word(stack, words_from(at->fp, rule->fp)));
}

static bool find_cfa(const struct chain_stack *stack, const struct rule *rule,
                     const struct position *at, uint64_t *ret)
{
    if (!is_short(*rule, at))
        return false;
    *ret = words_from(rule->kind == RULE_CFA_FROM_SP ? at->sp : at->fp, rule->cfa);
    if (rule->kind == RULE_CFA_AT_FP) {
        if (!chain_own_word(stack, *ret))
            return false;
        *ret = stack_view_load(*ret);
    }
    return true;
}

/* short_step() where nothing but the own stack is read; *ra_at is where the return address was. */
static enum step own_step(const struct chain_stack *stack, const struct rule *rule,
                          struct position *at, uint64_t *ra_at)
{
    struct stack_view view = {.own_low = stack->low, .own_words = stack->top - stack->low - 7};
    uint64_t cfa;
    if (!find_cfa(stack, rule, at, &cfa) || !reads_own_stack(stack, rule, at, cfa) ||
        !short_step(&view, *rule, at))
        return STEP_LOST;
    *ra_at = words_from(cfa, rule->ra);
    return STEP_CALLER;
}

/* Code without a description. */
static enum step undescribed_step(const struct chain_stack *stack, struct position *at,
                                  uint64_t *ra_at)
{
    struct stack_view view = {.own_low = stack->low, .own_words = stack->top - stack->low - 7};
    *ra_at = at->fp + 8;
    if (at->fp_known && at->fp != 0 &&
        !(chain_own_word(stack, at->fp) && chain_own_word(stack, at->fp + 8)))
        return STEP_LOST;
    return frame_pointer_step(&view, at);
}

static enum step step_by_rule(const struct chain_stack *stack, const struct rule *rule,
                              struct position *at, uint64_t *ra_at)
{
    *ra_at = stack->top;
    if (rule->kind <= RULE_CFA_AT_FP)
        return own_step(stack, rule, at, ra_at);
    if (rule->kind == RULE_NOT_DESCRIBED)
        return undescribed_step(stack, at, ra_at);
    return rule->kind == RULE_OUTERMOST ? STEP_OUTERMOST : STEP_LOST;
}

/* Any step, from a frame that is put down in *frame. */
static noinline enum step other_step(struct joined *walk, struct position *at,
                                     struct memory_new_frame *frame)
{
    struct memory_place place;
    uint64_t ra_at;
    if (!places_find(&walk->places, position_place(at), &place) ||
        !is_code(place.module != NO_MODULE, place.rule, at->pc))
        return STEP_LOST;
    frame->pc = at->pc;
    frame->sp = at->sp;
    frame->fp = at->fp;
    frame->spread = place.spread;
    frame->rule = place.rule;
    frame->module = place.module;
    enum step how = step_by_rule(&walk->stack, &place.rule, at, &ra_at);
    frame->ra_from_top = (int32_t)(ra_at - walk->stack.top);
    at->exact = false;
    return how;
}

static always_inline bool is_own(const struct walk_own *own, uint64_t pc)
{
    return pc - own->start < own->end - own->start;
}

/* Leave our own frames behind. False: it takes a full walk. */
static cold bool leave_own(struct joined *walk, const struct walk_own *own, struct position *at)
{
    for (uint32_t i = 0; is_own(own, at->pc); i++) {
        struct memory_new_frame unused;
        if (i == OWN_FRAMES_MAX || other_step(walk, at, &unused) != STEP_CALLER)
            return false;
    }
    if (!at->fp_known)
        at->fp = FP_UNKNOWN;
    return true;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* A plain step to a CFA that is on the stack, from a frame that is put down in *frame. */
static always_inline void plain_step(uint64_t top, const struct memory_place *place, uint64_t cfa,
                                     struct position *at, struct memory_new_frame *frame)
{
    uint64_t ra_at = words_from(cfa, place->rule.ra);
    frame->pc = at->pc;
    frame->sp = at->sp;
    frame->fp = at->fp;
    frame->spread = place->spread;
    frame->rule = place->rule;
    frame->module = place->module;
    frame->ra_from_top = (int32_t)(ra_at - top);
    if (place->rule.fp_how == RULE_FP_FROM_CFA)
        at->fp = stack_view_load(words_from(cfa, place->rule.fp));
    at->sp = cfa;
    at->pc = arch_code_address(stack_view_load(ra_at));
}

/* FP_UNKNOWN is none. */
static always_inline bool may_be_fp(const struct position *at, uint64_t top)
{
    return at->fp >= at->sp && at->fp < top && at->fp % 8 == 0;
}

/* By way of a copy, so that the position itself can stay in the processor's registers. */
static always_inline enum step step(struct joined *walk, struct position *at,
                                    struct memory_new_frame *frame)
{
    struct position copy = *at;
    copy.fp_known = copy.fp != FP_UNKNOWN;
    enum step how = other_step(walk, &copy, frame);
    *at = copy;
    if (!copy.fp_known)
        at->fp = FP_UNKNOWN;
    return how;
}

/* Drop remembered frames that lie behind. Whether the walk is now where the innermost of the others
 * is; *until: how far it is certainly not at the next. */
static always_inline bool meets(struct joined *walk, const struct position *at, uint64_t *until)
{
    const struct memory_frame *frames = walk->places.memory->frames;
    uint32_t count = chain_not_inside(frames, walk->count, at->sp);
    bool met = count > 0 && frames[count - 1].sp == at->sp && frames[count - 1].pc == at->pc;
    if (!met && count > 0 && frames[count - 1].sp == at->sp)
        count--;
    *until = count > 0 ? frames[count - 1].sp : UINT64_MAX;
    walk->count = count;
    return met;
}

/* Plain steps, which nearly all are, up to `most` frames in all, or to a remembered frame: then
 * true. A function of its own, for the processor's registers just suffice.
 */
static noinline bool walk_plainly(struct joined *walk, uint32_t most, struct position *ret)
{
    struct stack_memory *memory = walk->places.memory;
    struct memory_new_frame *frame = memory->added + walk->added, *end = memory->added + most;
    const uint64_t top = walk->stack.top, verified = walk->places.verified;
    struct position at = *ret;
    uint64_t until = 0;
    bool met = false;
    for (; frame < end; frame++) {
        if (unlikely(at.sp >= until) && (met = meets(walk, &at, &until)))
            break;
        const struct memory_place *place = places_entry(memory, at.pc - 1);
        uint64_t cfa = words_from(at.sp, place->rule.cfa);
        if (unlikely(place->address != at.pc - 1) ||
            unlikely(!(verified >> place->module % 64 & 1)))
            break;
        if (place->plain != PLACE_PLAIN_FROM_SP) {
            if (place->plain != PLACE_PLAIN_FROM_FP || !may_be_fp(&at, top))
                break;
            cfa = words_from(at.fp, place->rule.cfa);
            walk->from_sp = false;
        }
        if (unlikely(cfa > top))
            break;
        plain_step(top, place, cfa, &at, frame);
    }
    *ret = at;
    walk->added = (uint32_t)(frame - memory->added);
    return met;
}

/* From the first frame that is not ours, until remembered frames are joined or there are no more.
 */
static always_inline enum outcome walk_on(struct joined *walk, struct position *at)
{
    struct stack_memory *memory = walk->places.memory;
    const uint32_t most = chain_frames_kept(walk->limit);
    walk->added = 0;
    walk->from_sp = true;
    for (;;) {
        enum step how = STEP_CALLER;
        if (walk_plainly(walk, most, at)) {
            if (joins(walk, at->fp, &memory->frames[walk->count - 1], walk->added))
                return OUTCOME_JOINED;
            walk->count--;
        } else if (at->pc != 0) {
            if (walk->added == most)
                return OUTCOME_CUT;
            walk->from_sp = false;
            how = step(walk, at, &memory->added[walk->added++]);
        }
        if (walk->places.forgotten)
            walk->count = 0;
        if (how != STEP_CALLER || at->pc == 0)
            return how == STEP_LOST ? OUTCOME_LOST : OUTCOME_WHOLE;
    }
}

/* Make the memory the stack that was walked. */
static always_inline void remember(struct joined *walk, enum outcome outcome,
                                   const struct position *end)
{
    struct stack_memory *memory = walk->places.memory;
    if (likely(outcome == OUTCOME_JOINED)) {
        uint32_t kept = chain_frames_kept(walk->limit) - walk->added;
        if (unlikely(walk->count + walk->added > MEMORY_FRAMES)) {
            chain_drop_outermost(memory, walk->count, kept);
            walk->count = kept;
        }
        if (likely(walk->from_sp) && likely(!memory->frames[walk->count - 1].needs_fp)) {
            chain_append_plain(memory, walk->count, walk->added);
            walk->count += walk->added;
            return;
        }
    } else {
        walk->count = 0;
        memory->cut = outcome == OUTCOME_CUT;
    }
    chain_append(memory, &walk->stack, walk->count, walk->added, end->sp,
                 outcome == OUTCOME_WHOLE && end->pc == 0 ? CHAIN_END_NULL : CHAIN_END_NONE);
    walk->count += walk->added;
}

/* ---- its id ---------------------------------------------------------------------------------- */

static noinline uint32_t intern_new(struct joined *walk, uint32_t count, uint32_t flags,
                                    uint64_t key)
{
    struct stack_memory *memory = walk->places.memory;
    for (uint32_t i = 0; i < count; i++) {
        const struct memory_frame *frame = &memory->frames[walk->count - 1 - i];
        memory->packed[i] = frame->pc + memory->modules[frame->module % 64].packing;
    }
    return depot_intern_by(&walk->places.tables->depot_index, key, memory->packed, count, flags);
}

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
    uint64_t key = depot_key(hash, count, *flags);
    struct memory_stack *stack = &memory->stacks[key % MEMORY_STACKS];
    if (likely(stack->key == key) && likely(stack->id != 0))
        return stack->id;
    uint32_t id = depot_find(&walk->places.tables->depot_index, key);
    if (unlikely(id == 0))
        id = intern_new(walk, count, *flags, key);
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

/* walk_joined() where the stack is not known. In a bucket, if there is one, it then is. */
static noinline bool walk_and_remember(const struct places *places, const struct walk_own *own,
                                       const struct stack_caller *caller, uint32_t limit,
                                       struct memory_bucket *bucket, uint32_t *flags, uint32_t *id)
{
    struct joined walk = {.places = *places, .limit = limit};
    struct stack_memory *memory = places->memory;
    struct stack_view view;
    struct position at = first_position(caller);
    stack_view_init(&view, at.sp);
    if (unlikely(limit == 0) || unlikely(view.own_words == 0))
        return false;
    walk.stack = (struct chain_stack){at.sp, own_stack.top};
    uint32_t before = joinable(&walk, recollect(&walk), at.sp);
    walk.count = before;
    enum outcome outcome = OUTCOME_LOST;
    if (likely(!is_own(own, at.pc)) || leave_own(&walk, own, &at))
        outcome = walk_on(&walk, &at);
    if (unlikely(outcome == OUTCOME_LOST)) {
        memory->chain = (uintptr_t)places->rules + (walk.places.forgotten ? 0 : before);
        return false;
    }
    remember(&walk, outcome, &at);
    *id = intern(&walk, flags);
    memory->id = *id;
    if (bucket != NULL && *id != 0 && walk.count <= limit)
        recall_add(&walk.places, walk.stack.top, walk.count, bucket, *id);
    memory->chain = (uintptr_t)places->rules + walk.count;
    return true;
}

bool walk_joined(struct stack_tables *tables, struct rule_cache *rules, const struct walk_own *own,
                 const struct stack_caller *caller, struct stack_memory *memory, uint32_t limit,
                 uint32_t *flags, uint32_t *id)
{
    struct places places;
    struct memory_bucket *bucket = NULL;
    if (unlikely(!remembers(memory, rules, limit)))
        forget(memory, rules, limit);
    places_begin(&places, tables, rules, memory);
    if (likely(caller->sp >= own_stack.low) && likely(caller->sp < own_stack.top) &&
        likely(!is_own(own, caller->pc))) {
        memory->id = recall_find(&places, caller, own_stack.top, &bucket);
        if (likely(memory->id != 0)) {
            *id = memory->id;
            return true;
        }
    }
    return walk_and_remember(&places, own, caller, limit, bucket, flags, id);
}
