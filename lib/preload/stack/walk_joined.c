/* SPDX-License-Identifier: MIT */
/*
 * walk_joined.c - a walk that joins the stack which the thread took before.
 *
 * Where it arrives at a frame that is remembered (the same pc, sp and, if it matters, fp), all that
 * the rest of the walk would read is known: the rule of each frame, hence the words that hold the
 * return address and the saved fp. If the modules are the ones they were, and these words hold what
 * they held, the rest of the stack is what it was. Where a word differs, the walk goes on from
 * there, until it meets the remembered frames again.
 *
 * So a frame is remembered only if its step is a function of pc, sp, fp and words of the stack. A
 * stack that needs more (a signal frame, say) or cannot be walked to its end is left to the full
 * walk.
 */
#include "walk.h"

#include "compiler.h"
#include "depot.h"
#include "memory.h"
#include "places.h"
#include "walk_step.h"

#include <assert.h>

/* Our own frames below a capture; no path through the tap has as many. */
#define OWN_FRAMES_MAX 64u

static_assert(MEMORY_FRAMES > MALLOCTAP_STACK_FRAMES_MAX, "a frame beyond the limit is seen");

/* In place of the rule of the outermost frame remembered, where the walk was cut off. */
#define CUT_OFF RULE_NONE

struct joined {
    struct places places;
    struct stack_view view;
    uint32_t limit;
    uint32_t next;  /* the innermost remembered frame that was not passed */
    uint32_t added; /* frames walked, at the start of the arrays */
    /* Remembered frames inside this one are known to lead elsewhere than they did. */
    const struct memory_frame *trust;
};

/* How a walk ended. */
enum outcome {
    OUTCOME_JOINED, /* at a remembered frame */
    OUTCOME_WHOLE,  /* at the outermost frame */
    OUTCOME_CUT,    /* not there, but with more frames than are wanted */
    OUTCOME_LOST,   /* this takes a full walk */
};

/* ---- the remembered frames ------------------------------------------------------------------- */

static always_inline bool holds(struct stack_view *view, uint64_t address, uint64_t value)
{
    uint64_t word;
    return stack_view_read(view, address, &word) && word == value;
}

/* Whether a frame that is as remembered leads to the next one, by what is in memory now. With the
 * CFA known, which the step computes from what is as remembered, hardly more than the return
 * address can have changed. */
static always_inline bool leads_on(struct stack_view *view, const struct memory_frame *frame)
{
    const struct memory_frame *next = frame + 1;
    struct rule rule = rule_unpack(frame->rule);
    uint64_t ra;
    if (unlikely(frame->flags & MEMORY_UNUSUAL)) {
        struct position at = {.pc = frame->pc, .sp = frame->sp, .fp = frame->fp, .fp_known = true};
        return is_short(rule, &at) && short_step(view, rule, &at) && at.sp == next->sp &&
               at.pc == next->pc &&
               (!(next->flags & MEMORY_NEEDS_FP) || (at.fp_known && at.fp == next->fp));
    }
    if (unlikely(!stack_view_read(view, words_from(next->sp, rule.ra), &ra)) ||
        unlikely(arch_code_address(ra) != next->pc))
        return false;
    return !(frame->flags & MEMORY_READS_FP) ||
           holds(view, words_from(next->sp, rule.fp), next->fp);
}

/* Whether so many frames, the remembered ones among them, are all there are, or more than are
 * wanted. */
static always_inline bool suffices(const struct joined *walk, uint32_t count)
{
    return count > walk->limit || walk->places.memory->frames[MEMORY_FRAMES - 1].rule != CUT_OFF;
}

/* Whether all is as remembered from this frame on, where the walk is. */
static always_inline bool joins(struct joined *walk, struct position at,
                                const struct memory_frame *frame, const struct memory_frame *end,
                                uint32_t added)
{
    if (frame < walk->trust ||
        ((frame->flags & MEMORY_NEEDS_FP) && !(at.fp_known && at.fp == frame->fp)) ||
        !suffices(walk, added + (uint32_t)(end - frame)) ||
        !places_verify(&walk->places, frame->modules))
        return false;
    for (; !(frame->flags & MEMORY_END) && frame < end; frame++) {
        if (unlikely(!leads_on(&walk->view, frame))) {
            walk->trust = frame + 1;
            return false;
        }
    }
    return true;
}

/* Pass the remembered frames that are inside the walk's. Whether the next one is at its place. */
static always_inline bool meets(struct position at, const struct memory_frame **next,
                                const struct memory_frame *end)
{
    while (*next < end && (*next)->sp < at.sp)
        ++*next;
    return *next < end && (*next)->sp == at.sp && (*next)->pc == at.pc;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Leave our own frames behind by a way that was taken before. False: this is another. */
static always_inline bool take_way(struct joined *walk, const struct memory_way *way,
                                   const struct walk_own *own, struct position *at)
{
    uint32_t count = way->count, cfa = way->cfa, saved_fp = way->saved_fp;
    uint64_t sp = at->sp, pc = at->pc, ra;
    if (unlikely(count - 1 >= MEMORY_OWN))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (unlikely(way->frames[i].pc != pc) ||
            unlikely(!stack_view_read(&walk->view, sp + way->frames[i].ra, &ra)))
            return false;
        pc = arch_code_address(ra);
    }
    if (unlikely(pc - own->start < own->end - own->start) ||
        (saved_fp < cfa && !stack_view_read(&walk->view, sp + saved_fp, &at->fp)))
        return false;
    at->pc = pc;
    at->sp = sp + cfa;
    at->exact = false;
    return true;
}

static always_inline bool known_way_out(struct joined *walk, const struct walk_own *own,
                                        struct position *at)
{
    for (uint32_t i = 0; i < MEMORY_WAYS; i++)
        if (take_way(walk, &walk->places.memory->ways[i], own, at))
            return true;
    return false;
}

/* Add a frame of ours to the way out. `at` is where its step leads. */
static void remember_way(struct memory_way *way, uint64_t pc, struct rule rule, uint64_t start,
                         const struct position *at)
{
    uint64_t cfa = at->sp - start, ra = words_from(cfa, rule.ra), saved_fp = cfa;
    if (rule.fp_how == RULE_FP_FROM_CFA)
        saved_fp = words_from(cfa, rule.fp);
    else if (way->saved_fp < way->cfa)
        saved_fp = way->saved_fp;
    bool plain = rule.kind == RULE_CFA_FROM_SP && rule.fp_how <= RULE_FP_FROM_CFA;
    if (!plain || cfa > UINT16_MAX || ra >= cfa || saved_fp > cfa || way->count >= MEMORY_OWN) {
        way->count = MEMORY_OWN + 1; /* neither to be taken nor to be added to */
        return;
    }
    way->cfa = (uint16_t)cfa;
    way->saved_fp = (uint16_t)saved_fp;
    way->frames[way->count].pc = pc;
    way->frames[way->count++].ra = ra;
}

/* Leave our own frames behind. False: it takes a full walk. */
static noinline bool find_way_out(struct joined *walk, const struct walk_own *own,
                                  struct position *at)
{
    struct memory_way way = {.count = 0};
    uint64_t start = at->sp;
    for (uint32_t i = 0; at->pc - own->start < own->end - own->start; i++) {
        struct place place;
        uint64_t pc = at->pc;
        if (i == OWN_FRAMES_MAX || !places_find(&walk->places, position_place(at), &place))
            return false;
        struct rule rule = rule_unpack(place.rule);
        if (!is_short(rule, at) || !short_step(&walk->view, rule, at))
            return false;
        remember_way(&way, pc, rule, start, at);
    }
    struct stack_memory *memory = walk->places.memory;
    memory->ways[memory->next_way++ % MEMORY_WAYS] = way;
    return !at->exact;
}

/* A frame for the start of the arrays. If a remembered one is overwritten, so is its sp, with
 * one that will be passed: what is joined is always behind what was added. */
static always_inline void add_frame(struct memory_frame *frame, struct position at,
                                    struct place place)
{
    frame->pc = at.pc;
    frame->sp = at.sp;
    frame->fp = at.fp;
    frame->rule = place.rule;
    frame->module = (uint8_t)place.module;
}

/* The step from the frame that was added last. */
static always_inline enum step step(struct joined *walk, struct rule rule, struct position *at)
{
    if (likely(is_short(rule, at)))
        return short_step(&walk->view, rule, at) ? STEP_CALLER : STEP_LOST;
    if (rule.kind != RULE_NOT_DESCRIBED)
        return rule.kind == RULE_OUTERMOST ? STEP_OUTERMOST : STEP_LOST;
    /* By way of a copy, so that the position itself can stay in the processor's registers. */
    struct position copy = *at;
    enum step how = frame_pointer_step(&walk->view, &copy);
    *at = copy;
    return how;
}

/* From the first frame that is not ours, until remembered frames are joined or there are no more.
 */
static always_inline enum outcome walk_on(struct joined *walk, struct position *ret)
{
    const uint32_t most = (MEMORY_FRAMES + walk->limit) / 2; /* and room to move on either side */
    struct memory_frame *frames = walk->places.memory->frames;
    struct position at = *ret;
    enum step how = STEP_CALLER;
    const struct memory_frame *next = &frames[walk->next], *end = &frames[MEMORY_FRAMES];
    uint32_t added = 0;
    bool joined = false;
    while (how == STEP_CALLER && at.pc != 0 && added < most) {
        struct place place;
        joined = meets(at, &next, end) && joins(walk, at, next, end, added);
        if (joined)
            break;
        if (unlikely(!places_find(&walk->places, at.pc - 1, &place))) {
            walk->added = added;
            return OUTCOME_LOST;
        }
        struct rule rule = rule_unpack(place.rule);
        if (unlikely(!is_code(place.module != NO_MODULE, rule, at.pc)))
            break;
        add_frame(&frames[added++], at, place);
        if (unlikely(walk->places.forgotten))
            next = end;
        how = step(walk, rule, &at);
    }
    *ret = at;
    walk->next = (uint32_t)(next - frames);
    walk->added = added;
    if (joined)
        return OUTCOME_JOINED;
    if (how == STEP_OUTERMOST || (how == STEP_CALLER && at.pc == 0))
        return OUTCOME_WHOLE;
    return added > walk->limit ? OUTCOME_CUT : OUTCOME_LOST;
}

static always_inline uint8_t flags_of(uint64_t word, uint8_t next)
{
    struct rule rule = rule_unpack(word);
    if (unlikely(word == CUT_OFF || rule.kind == RULE_OUTERMOST))
        return MEMORY_END;
    if (unlikely(rule.kind > RULE_CFA_FROM_FP || rule.fp_how == RULE_FP_FROM_FP))
        return MEMORY_NEEDS_FP | MEMORY_UNUSUAL;
    uint8_t flags = rule.kind == RULE_CFA_FROM_FP ? MEMORY_NEEDS_FP : 0;
    if (rule.fp_how == RULE_FP_SAME)
        return flags | (next & MEMORY_NEEDS_FP);
    return rule.fp_how == RULE_FP_FROM_CFA && (next & MEMORY_NEEDS_FP) ? flags | MEMORY_READS_FP
                                                                       : flags;
}

/* Put the frames that were added inside those that were joined. Returns where the stack begins.
 * Not by memmove(): what was stored a moment ago in words is slow to load in larger pieces. */
static always_inline uint32_t put_together(struct joined *walk)
{
    struct stack_memory *memory = walk->places.memory;
    uint32_t first = walk->next - walk->added;
    const struct memory_frame *from = &memory->frames[walk->added];
    struct memory_frame *next = &memory->frames[walk->next];
    uint64_t hash = memory->hashes[walk->next];
    for (uint32_t i = walk->next; i-- > first; next--) {
        struct memory_frame *frame = next - 1;
        uint32_t module = (--from)->module;
        frame->pc = from->pc;
        frame->sp = from->sp;
        frame->fp = from->fp;
        frame->rule = from->rule;
        frame->id = 0;
        frame->module = (uint8_t)module;
        frame->modules = (uint16_t)(next->modules | 1u << module); /* none has no bit */
        frame->flags = flags_of(frame->rule, next->flags);
        memory->packed[i] = frame->pc + memory->modules[module].packing;
        memory->hashes[i] = hash = depot_hash_add(hash, memory->packed[i]);
    }
    return first;
}

/* The walk came to an end of its own. */
static void close_chain(struct joined *walk, enum outcome outcome, struct position end)
{
    struct stack_memory *memory = walk->places.memory;
    walk->next = MEMORY_FRAMES;
    memory->frames[MEMORY_FRAMES] =
        (struct memory_frame){.pc = end.pc, .sp = end.sp, .flags = MEMORY_END};
    if (outcome == OUTCOME_CUT)
        memory->frames[walk->added - 1].rule = CUT_OFF;
}

/* The id of the stack that begins at `first`. */
static always_inline uint32_t intern(struct joined *walk, uint32_t first, uint32_t *flags)
{
    struct stack_memory *memory = walk->places.memory;
    uint32_t count = MEMORY_FRAMES - first, id = memory->frames[first].id;
    uint64_t hash = memory->hashes[first];
    if (count > walk->limit) {
        count = walk->limit;
        *flags |= MALLOCTAP_STACK_LIMITED;
        if (id == 0)
            hash = depot_hash_cut(hash, memory->hashes[first + count], count);
    }
    if (id == 0) {
        id = depot_intern_hashed(&walk->places.tables->depot_index, &memory->packed[first], count,
                                 *flags, hash);
        memory->frames[first].id = id;
    }
    return id;
}

/* What is in the memory, if it is this process's and for this limit. */
static always_inline void recollect(struct joined *walk)
{
    struct stack_memory *memory = walk->places.memory;
    uint64_t chain = memory->chain - (uintptr_t)walk->places.rules;
    if (unlikely(chain > MEMORY_FRAMES || memory->limit != walk->limit)) {
        places_forget_all(&walk->places);
        memory->limit = walk->limit;
        chain = MEMORY_FRAMES;
    }
    walk->places.verified = memory->kept;
    walk->next = (uint32_t)chain;
}

noinline bool walk_joined(struct stack_tables *tables, struct rule_cache *rules,
                          const struct walk_own *own, struct stack_memory *memory, uint32_t limit,
                          uint32_t *flags, uint32_t *id)
{
    struct registers registers;
    struct joined walk = {
        .places = {.tables = tables, .rules = rules, .memory = memory},
        .limit = limit,
    };
    if (unlikely(limit == 0))
        return false;
    registers.exact = true;
    registers.known = arch_registers(registers.value, &registers.pc);
    recollect(&walk);
    stack_view_init(&walk.view, registers.value[ARCH_SP]);
    uint32_t first = walk.next;
    struct position at = position_of(&registers);
    enum outcome outcome = OUTCOME_LOST;
    if (likely(known_way_out(&walk, own, &at)) || find_way_out(&walk, own, &at))
        outcome = walk_on(&walk, &at);
    if (unlikely(outcome == OUTCOME_LOST)) {
        /* What was not overwritten is as good as before. */
        first = walk.added > first ? walk.added : first;
        memory->chain = (uintptr_t)rules + (walk.places.forgotten ? MEMORY_FRAMES : first);
        return false;
    }
    if (unlikely(outcome != OUTCOME_JOINED))
        close_chain(&walk, outcome, at);
    first = put_together(&walk);
    *id = likely(first < MEMORY_FRAMES) ? intern(&walk, first, flags) : 0;
    memory->chain = (uintptr_t)rules + first;
    return true;
}
