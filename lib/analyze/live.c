/* SPDX-License-Identifier: MIT */
#include "live.h"

#include "analyze_memory.h"

/* ---- the table ------------------------------------------------------------------------------- */

/* The first slot of a cache line: mostly that line is all that a block needs. */
static inline size_t home(const struct live *live, uint64_t address)
{
    return 2 * (size_t)(address * 0x9e3779b97f4a7c15u >> live->shift);
}

/* The slot where the block at an address is, or the free one where it belongs. */
static inline struct live_block *slot_of(const struct live *live, uint64_t address)
{
    for (size_t i = home(live, address);; i++) {
        struct live_block *slot = &live->slots[i & (live->capacity - 1)];
        if (slot->address == address || !slot->address)
            return slot;
    }
}

static void make_room(struct live *live)
{
    if (4 * (live->count + 1) <= 3 * live->capacity)
        return;
    struct live old = *live;
    live->capacity = old.capacity ? 2 * old.capacity : 1024;
    live->shift = (unsigned)__builtin_clzll(live->capacity) + 2;
    live->slots = memory_pages(live->capacity * sizeof *live->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].address)
            *slot_of(live, old.slots[i].address) = old.slots[i];
    live_release(&old);
}

/*
 * No tombstones: whatever follows in the same run and would not be found past the hole moves into
 * it, so that a table through which millions of blocks pass stays as short as what is live.
 */
static void slot_remove(struct live *live, struct live_block *slot)
{
    size_t mask = live->capacity - 1, hole = (size_t)(slot - live->slots);
    for (size_t i = (hole + 1) & mask; live->slots[i].address; i = (i + 1) & mask) {
        if (((i - home(live, live->slots[i].address)) & mask) >= ((i - hole) & mask)) {
            live->slots[hole] = live->slots[i];
            hole = i;
        }
    }
    live->slots[hole].address = 0;
    live->count--;
}

void live_release(struct live *live)
{
    memory_pages_free(live->slots, live->capacity * sizeof *live->slots);
    live->slots = NULL;
    live->capacity = live->count = 0;
}

void live_deinit(struct live *live)
{
    live_release(live);
    *live = (struct live){0};
}

/* ---- beginnings and ends --------------------------------------------------------------------- */

static void add_to_sums(struct live *live, const struct live_block *block, double sign)
{
    if (block->owner == LIVE_NOT_ASKED)
        return;
    live->now.bytes += sign * (double)block->weight * (double)block->size;
    live->now.blocks += sign * (double)block->weight;
}

static void begin_block(struct live *live, const struct live_block *block)
{
    make_room(live);
    struct live_block *slot = slot_of(live, block->address);
    if (slot->address) {
        live->ends_missed++;
        add_to_sums(live, slot, -1);
    } else {
        live->count++;
    }
    *slot = *block;
    add_to_sums(live, slot, 1);
    if (live->now.bytes > live->peak.bytes) {
        live->peak = live->now;
        live->peak_ticks = block->ticks;
    }
}

static void end_block(struct live *live, const struct live_step *step)
{
    struct live_block *slot = live->capacity ? slot_of(live, step->block.address) : NULL;
    if (!slot || !slot->address) {
        live->frees_unknown += step->logged;
        return;
    }
    /* A FREED record names the life it ends: it may be one whose ALLOC was overwritten. */
    if (step->kind == MALLOCTAP_RECORD_FREED && slot->ticks != step->block.ticks)
        return;
    add_to_sums(live, slot, -1);
    slot_remove(live, slot);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The block that begins with a call to obtain memory. False: none does that could be followed. */
static bool begins(struct live *live, const struct malloctap_event *event, uint32_t owner,
                   struct live_block *ret)
{
    const struct malloctap_sample *sample = (const void *)event->record;
    *(event->logged ? &live->logged : &live->sampled) += 1;
    if (sample->flags & MALLOCTAP_SAMPLE_FAILED)
        return false;
    if (sample->flags & MALLOCTAP_SAMPLE_UNTRACKED) {
        live->untracked += owner != LIVE_NOT_ASKED;
        return false;
    }
    *ret = (struct live_block){sample->address, sample->ticks, sample->size, owner,
                               (float)sample->weight};
    return ret->address;
}

/* What an event means for the table. False: nothing. */
static bool step_of(struct live *live, const struct malloctap_event *event, uint32_t owner,
                    struct live_step *ret)
{
    const struct malloctap_sample *sample = (const void *)event->record;
    const struct malloctap_freed *freed = (const void *)event->record;
    ret->kind = event->record->kind;
    ret->logged = event->logged;
    if (ret->kind == MALLOCTAP_RECORD_ALLOC)
        return begins(live, event, owner, &ret->block);
    if (ret->kind == MALLOCTAP_RECORD_FREED) {
        ret->block.address = freed->address;
        ret->block.ticks = freed->allocated_ticks;
    } else {
        ret->block.address = sample->address;
        if (sample->head.op == MALLOCTAP_OP_FREE && sample->address)
            *(event->logged ? &live->logged : &live->sampled) += 1;
    }
    return ret->block.address;
}

static void take_step(struct live *live)
{
    const struct live_step *step = &live->ahead[live->done++ % LIVE_AHEAD];
    if (step->kind == MALLOCTAP_RECORD_ALLOC)
        begin_block(live, &step->block);
    else
        end_block(live, step);
}

/*
 * In a long log with many live blocks nearly every event finds its slot out of the cache. So an
 * event asks for its slot when it comes and is worked on a few events later.
 */
void live_event(struct live *live, const struct malloctap_event *event, uint32_t owner)
{
    if (live->seen - live->done == LIVE_AHEAD)
        take_step(live);
    struct live_step *step = &live->ahead[live->seen % LIVE_AHEAD];
    live->last_ticks = malloctap_record_ticks(event->record);
    if (!step_of(live, event, owner, step))
        return;
    live->seen++;
    if (live->capacity)
        __builtin_prefetch(&live->slots[home(live, step->block.address)], 1);
}

void live_settle(struct live *live)
{
    while (live->done < live->seen)
        take_step(live);
}

const struct live_block *live_next(const struct live *live, size_t *position)
{
    while (*position < live->capacity) {
        const struct live_block *slot = &live->slots[(*position)++];
        if (slot->address)
            return slot;
    }
    return NULL;
}
