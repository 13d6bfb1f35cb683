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
#include "rule_cache.h"
#include "table.h"
#include "walk_step.h"

#include <assert.h>
#include <string.h>

/* Our own frames below a capture; no path through the tap has as many. */
#define OWN_FRAMES_MAX 64u

#define NO_MODULE MEMORY_MODULES

static_assert(MEMORY_FRAMES > MALLOCTAP_STACK_FRAMES_MAX, "a frame beyond the limit is seen");
static_assert(sizeof(struct stack_memory) <= 16384, "as small as promised");

struct joined {
    struct stack_tables *tables;
    struct rule_cache *rules;
    struct stack_memory *memory;
    struct stack_view view;
    uint32_t limit;
    uint32_t next;     /* the innermost remembered frame that may still be met */
    uint32_t trust;    /* frames inside this one are known to lead elsewhere than they did */
    bool forgotten;    /* the remembered frames are worth nothing */
    uint32_t added;    /* frames walked, at the start of the arrays */
    uint32_t verified; /* modules found to be what they were, a bit each */
};

/* How a walk ended. */
enum outcome {
    OUTCOME_JOINED, /* at a remembered frame */
    OUTCOME_WHOLE,  /* at the outermost frame */
    OUTCOME_CUT,    /* not there, but with more frames than are wanted */
    OUTCOME_LOST,   /* this takes a full walk */
};

/* What is known of a place in the code. */
struct place {
    struct rule rule;
    uint8_t module;
    uint64_t packed;
};

static always_inline struct rule rule_of(uint64_t word)
{
    struct rule rule;
    memcpy(&rule, &word, sizeof(rule));
    return rule;
}

static always_inline uint64_t word_of(struct rule rule)
{
    uint64_t word;
    memcpy(&word, &rule, sizeof(word));
    return word;
}

static always_inline void forget_frames(struct joined *walk)
{
    walk->next = MEMORY_FRAMES;
    walk->forgotten = true;
}

/* ---- modules ----------------------------------------------------------------------------------
 */

static bool same_module(const struct memory_module *known, const struct module *now)
{
    return known->id == now->id && known->low == now->object.low &&
           known->high == now->object.high && known->bias == now->object.bias;
}

/* Whether a module is still the one that was met; asked once a walk. */
static noinline bool verify_module(struct joined *walk, uint32_t slot)
{
    struct memory_module *known = &walk->memory->modules[slot];
    struct module now;
    if (known->id == 0 || !modules_identify(&walk->tables->module_index, known->low, &now) ||
        !same_module(known, &now)) {
        known->id = known->low = known->high = 0;
        forget_frames(walk);
        return false;
    }
    walk->verified |= 1u << slot;
    return true;
}

static always_inline bool verify_modules(struct joined *walk, uint32_t modules)
{
    for (modules &= ~walk->verified; unlikely(modules != 0); modules &= modules - 1) {
        if (!verify_module(walk, (uint32_t)__builtin_ctz(modules)))
            return false;
    }
    return true;
}

/* Whether an address lies in a module, which is then verified. */
static always_inline bool lies_in(struct joined *walk, uint32_t slot, uintptr_t address)
{
    const struct memory_module *module = &walk->memory->modules[slot];
    return address - module->low < module->high - module->low && verify_modules(walk, 1u << slot);
}

/* The slot of the module at an address; NO_MODULE: none is there. False: it cannot be kept. */
static noinline bool find_other_module(struct joined *walk, uintptr_t address, uint32_t *ret)
{
    struct memory_module *modules = walk->memory->modules;
    uint32_t free = MEMORY_MODULES;
    struct module now;
    for (uint32_t slot = MEMORY_MODULES; slot-- > 0;) {
        if (lies_in(walk, slot, address)) {
            walk->memory->last_module = *ret = slot;
            return true;
        }
        if (modules[slot].id == 0)
            free = slot;
    }
    *ret = NO_MODULE;
    if (!modules_identify(&walk->tables->module_index, address, &now))
        return true;
    if (now.id == 0)
        return false;
    if (free == MEMORY_MODULES) {
        memset(modules, 0, sizeof(walk->memory->modules));
        walk->memory->kept = 0;
        forget_frames(walk);
        return false;
    }
    modules[free] =
        (struct memory_module){now.object.low, now.object.high, now.object.bias, now.id};
    walk->memory->kept &= ~(1u << free);
    if (objects_kept(&now.object))
        walk->memory->kept |= 1u << free;
    walk->verified |= 1u << free;
    walk->memory->last_module = *ret = free;
    return true;
}

/* ---- places -----------------------------------------------------------------------------------
 */

static cold bool learn_rule(struct joined *walk, uintptr_t address, uint64_t id, struct rule *ret)
{
    struct module now;
    if (!modules_identify(&walk->tables->module_index, address, &now) || now.id != id)
        return false;
    *ret = rule_find_slowly(walk->rules, &now, address);
    return true;
}

/* All about the place that the walk is at. False: it takes a full walk. */
static always_inline bool look_up(struct joined *walk, struct position at, struct place *ret)
{
    uintptr_t address = position_place(&at);
    uint32_t slot = walk->memory->last_module % MEMORY_MODULES;
    if (!lies_in(walk, slot, address) && !find_other_module(walk, address, &slot))
        return false;
    ret->module = (uint8_t)slot;
    if (unlikely(slot == NO_MODULE)) {
        ret->rule = (struct rule){.kind = RULE_NOT_DESCRIBED};
        ret->packed = MALLOCTAP_FRAME_OFFSET(at.pc + at.exact);
        return true;
    }
    const struct memory_module *module = &walk->memory->modules[slot];
    uint64_t id = module->id << 48, bias = module->bias;
    ret->packed = id | MALLOCTAP_FRAME_OFFSET(at.pc + at.exact - bias);
    return rule_cache_find(walk->rules, id | MALLOCTAP_FRAME_OFFSET(address - bias), &ret->rule) ||
           learn_rule(walk, address, id >> 48, &ret->rule);
}

/* ---- the remembered frames --------------------------------------------------------------------
 */

static always_inline bool holds(struct joined *walk, uint64_t address, uint64_t value, bool code)
{
    uint64_t word;
    return stack_view_read(&walk->view, address, &word) &&
           (code ? arch_code_address(word) : word) == value;
}

/* Whether a remembered frame's step leads to the next one, reading what is there now. */
static always_inline bool leads_on(struct joined *walk, const struct memory_frame *frame)
{
    const struct memory_frame *next = frame + 1;
    struct rule rule = rule_of(frame->rule);
    if (likely(rule.kind <= RULE_CFA_FROM_FP && rule.fp_how != RULE_FP_FROM_FP))
        return holds(walk, words_from(next->sp, rule.ra), next->pc, true) &&
               (!next->needs_fp || rule.fp_how != RULE_FP_FROM_CFA ||
                holds(walk, words_from(next->sp, rule.fp), next->fp, false));
    struct position at = {.pc = frame->pc, .sp = frame->sp, .fp = frame->fp, .fp_known = true};
    return is_short(rule, &at) && short_step(&walk->view, rule, &at) && at.sp == next->sp &&
           at.pc == next->pc && (!next->needs_fp || (at.fp_known && at.fp == next->fp));
}

/* The remembered frame at the walk's position; NULL: there is none. */
static always_inline const struct memory_frame *meet(struct joined *walk, struct position at)
{
    const struct memory_frame *frames = walk->memory->frames;
    uint32_t next = walk->next;
    while (next < MEMORY_FRAMES && frames[next].sp < at.sp)
        next++;
    walk->next = next;
    bool met = next < MEMORY_FRAMES && frames[next].sp == at.sp && frames[next].pc == at.pc;
    return met ? &frames[next] : NULL;
}

/* Whether the frames from this one on are enough: of those that end where a walk was cut off, more
 * are needed than the limit. */
static always_inline bool suffices(struct joined *walk)
{
    struct rule last = rule_of(walk->memory->frames[MEMORY_FRAMES - 1].rule);
    return last.kind != RULE_NONE || walk->added + MEMORY_FRAMES - walk->next > walk->limit;
}

/* Whether all is as remembered from this frame on, where the walk is. */
static always_inline bool joins(struct joined *walk, struct position at,
                                const struct memory_frame *frame)
{
    const struct memory_frame *end = &walk->memory->frames[MEMORY_FRAMES];
    if (walk->next < walk->trust || (frame->needs_fp && !(at.fp_known && at.fp == frame->fp)) ||
        !verify_modules(walk, frame->modules))
        return false;
    if (!suffices(walk)) {
        forget_frames(walk);
        return false;
    }
    for (; frame < end; frame++) {
        uint8_t kind = rule_of(frame->rule).kind;
        if (kind == RULE_OUTERMOST || kind == RULE_NONE)
            return true;
        if (unlikely(!leads_on(walk, frame))) {
            walk->trust = (uint32_t)(frame + 1 - walk->memory->frames);
            return false;
        }
    }
    return true;
}

/* What the remembered frame says of its place, which is the walk's. */
static always_inline bool recall(struct joined *walk, const struct memory_frame *frame,
                                 struct place *ret)
{
    ret->rule = rule_of(frame->rule);
    ret->module = frame->module;
    ret->packed = walk->memory->packed[frame - walk->memory->frames];
    return ret->rule.kind >= RULE_CFA_FROM_SP && ret->rule.kind <= RULE_OUTERMOST &&
           verify_modules(walk, 1u << frame->module);
}

/* ---- the walk ---------------------------------------------------------------------------------
 */

/* Leave our own frames behind. False: it takes a full walk. */
static always_inline bool leave_own_frames(struct joined *walk, const struct walk_own *own,
                                           struct position *at)
{
    for (uint32_t i = 0; at->pc - own->start < own->end - own->start; i++) {
        struct place place;
        if (i < MEMORY_OWN && walk->memory->own[i].pc == at->pc) {
            place.rule = rule_of(walk->memory->own[i].rule); /* our own code stays */
        } else {
            if (i == OWN_FRAMES_MAX || !look_up(walk, *at, &place))
                return false;
            if (i < MEMORY_OWN) {
                walk->memory->own[i].rule = word_of(place.rule);
                walk->memory->own[i].pc = at->pc;
            }
        }
        if (unlikely(!is_short(place.rule, at)) || !short_step(&walk->view, place.rule, at))
            return false;
    }
    return !at->exact;
}

/* One more frame at the start of the arrays, where there may be remembered ones. */
static always_inline void add_frame(struct joined *walk, struct position at,
                                    const struct place *place)
{
    uint32_t index = walk->added++;
    if (unlikely(index == walk->next))
        forget_frames(walk);
    walk->memory->packed[index] = place->packed;
    walk->memory->frames[index] = (struct memory_frame){
        .pc = at.pc,
        .sp = at.sp,
        .fp = at.fp,
        .rule = word_of(place->rule),
        .module = place->module,
    };
}

/* From the first frame that is not ours, until remembered frames are joined or there are no more.
 */
static always_inline enum outcome walk_on(struct joined *walk, struct position *end)
{
    const uint32_t most = (MEMORY_FRAMES + walk->limit) / 2; /* and room to move on either side */
    struct position at = *end;
    while (at.pc != 0) {
        struct place place;
        const struct memory_frame *frame = meet(walk, at);
        if (frame != NULL && joins(walk, at, frame))
            return OUTCOME_JOINED;
        if ((frame == NULL || !recall(walk, frame, &place)) && !look_up(walk, at, &place))
            return OUTCOME_LOST;
        if (unlikely(!is_code(place.module != NO_MODULE, place.rule, at.pc)))
            break;
        add_frame(walk, at, &place);
        if (unlikely(walk->added == most))
            break;
        if (likely(is_short(place.rule, &at))) {
            if (unlikely(!short_step(&walk->view, place.rule, &at)))
                break;
        } else if (place.rule.kind == RULE_NOT_DESCRIBED) {
            enum step how = frame_pointer_step(&walk->view, &at);
            if (how == STEP_LOST)
                break;
            if (how == STEP_OUTERMOST)
                at.pc = 0;
        } else if (place.rule.kind == RULE_OUTERMOST) {
            at.pc = 0;
        } else {
            break;
        }
    }
    *end = at;
    if (at.pc == 0)
        return OUTCOME_WHOLE;
    return walk->added > walk->limit ? OUTCOME_CUT : OUTCOME_LOST;
}

/* Put the frames that were added inside those that were joined. Returns where the stack begins. */
static always_inline uint32_t put_together(struct joined *walk)
{
    struct stack_memory *memory = walk->memory;
    uint32_t first = walk->next - walk->added;
    if (walk->added == 0)
        return first;
    /* Not by memmove(): what was stored a moment ago in words is slow to load in larger pieces. */
    for (uint32_t i = walk->next; i-- > first;) {
        struct memory_frame *frame = &memory->frames[i];
        *frame = memory->frames[i - first];
        memory->packed[i] = memory->packed[i - first];
        struct rule rule = rule_of(frame->rule);
        bool by_sp = rule.kind == RULE_CFA_FROM_SP || rule.kind == RULE_OUTERMOST;
        frame->needs_fp = !by_sp || rule.fp_how == RULE_FP_FROM_FP ||
                          (rule.fp_how == RULE_FP_SAME && frame[1].needs_fp);
        frame->modules = frame[1].modules | (uint16_t)(1u << frame->module);
        memory->hashes[i] = depot_hash_add(memory->hashes[i + 1], memory->packed[i]);
    }
    return first;
}

/* The walk came to an end of its own. */
static void close_chain(struct joined *walk, enum outcome outcome, struct position end)
{
    struct stack_memory *memory = walk->memory;
    forget_frames(walk);
    memory->frames[MEMORY_FRAMES] = (struct memory_frame){.pc = end.pc, .sp = end.sp};
    if (outcome == OUTCOME_CUT)
        memory->frames[walk->added - 1].rule = word_of((struct rule){.kind = RULE_NONE});
}

/* The id of the stack that begins at `first`; flags as for a walk that is not joined. */
static always_inline uint32_t intern(struct joined *walk, uint32_t first, uint32_t *flags)
{
    struct stack_memory *memory = walk->memory;
    uint32_t count = MEMORY_FRAMES - first;
    uint64_t hash = memory->hashes[first];
    if (count > walk->limit) {
        count = walk->limit;
        *flags |= MALLOCTAP_STACK_LIMITED;
    }
    if (memory->frames[first].id == 0) {
        if (*flags & MALLOCTAP_STACK_LIMITED)
            hash = depot_hash_cut(hash, memory->hashes[first + count], count);
        memory->frames[first].id = depot_intern_hashed(&walk->tables->depot_index,
                                                       &memory->packed[first], count, *flags, hash);
    }
    return memory->frames[first].id;
}

/* What is in the memory, if it is this process's and for this limit. */
static always_inline void recollect(struct joined *walk)
{
    struct stack_memory *memory = walk->memory;
    uint64_t chain = memory->chain - (uintptr_t)walk->rules;
    if (likely(chain <= MEMORY_FRAMES && memory->limit == walk->limit)) {
        walk->next = (uint32_t)chain;
        walk->verified = memory->kept;
        return;
    }
    memset(memory->modules, 0, sizeof(memory->modules));
    memory->kept = 0;
    memory->limit = walk->limit;
    forget_frames(walk);
}

noinline bool walk_joined(struct stack_tables *tables, const struct walk_own *own,
                          struct stack_memory *memory, uint32_t limit, uint32_t *flags,
                          uint32_t *id)
{
    struct registers registers;
    struct joined walk = {.tables = tables, .memory = memory, .limit = limit};
    walk.rules = table_get(&tables->rule_cache, sizeof(*walk.rules));
    if (unlikely(walk.rules == NULL || limit == 0))
        return false;
    registers.exact = true;
    registers.known = arch_registers(registers.value, &registers.pc);
    recollect(&walk);
    stack_view_init(&walk.view, registers.value[ARCH_SP]);
    uint32_t first = walk.next;
    struct position at = position_of(&registers);
    enum outcome outcome = OUTCOME_LOST;
    if (likely(leave_own_frames(&walk, own, &at)))
        outcome = walk_on(&walk, &at);
    if (unlikely(outcome == OUTCOME_LOST)) {
        first = walk.added > first ? walk.added : first;
        memory->chain = (uintptr_t)walk.rules + (walk.forgotten ? MEMORY_FRAMES : first);
        return false;
    }
    if (unlikely(outcome != OUTCOME_JOINED))
        close_chain(&walk, outcome, at);
    first = put_together(&walk);
    *id = first == MEMORY_FRAMES ? 0 : intern(&walk, first, flags);
    memory->chain = (uintptr_t)walk.rules + first;
    return true;
}
