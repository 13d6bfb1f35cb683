/* SPDX-License-Identifier: MIT */
#include "oversize.h"

#include "debug.h"
#include "live.h"
#include "options.h"
#include "region.h"

#include <malloctap/mtmalloc.h>

#include <string.h>

struct mt_lock mt_oversize_lock = {.rank = MT_RANK_OVERSIZE};
struct mt_oversize_totals mt_oversize_totals;

/* Free blocks. */
static struct mt_node *by_size, *by_address;

static bool started_over;

bool mt_oversize_acquire(void)
{
    return mt_heap_lock(&mt_oversize_lock, mt_stats_oversize_row());
}

void mt_oversize_release(void)
{
    mt_stats_count_oversize();
    mt_heap_unlock(&mt_oversize_lock);
}

static char *data_of(struct mt_block *block)
{
    return (char *)(block + 1);
}

static char *end_of(struct mt_block *block)
{
    return (char *)block + block->size;
}

/* Even an aligned or trimmed block is not smaller than the smallest oversize one. */
static size_t data_size(size_t requested)
{
    size_t least = requested > MT_BUFFER_MAX ? requested : MT_BUFFER_MAX + 1;
    return ALIGN_UP(least, (size_t)MT_BLOCK_GRAIN);
}

void mt_oversize_start_over(void)
{
    by_size = NULL;
    by_address = NULL;
    mt_oversize_totals.free = 0;
    mt_live_start_over();
    mt_region_start_over();
    started_over = true;
}

/* ---- free blocks ------------------------------------------------------------------------- */

static struct mt_block *block_by_size(struct mt_node *node)
{
    return (struct mt_block *)((char *)node - offsetof(struct mt_block, by_size));
}

static struct mt_block *block_by_address(struct mt_node *node)
{
    return (struct mt_block *)((char *)node - offsetof(struct mt_block, by_address));
}

static void insert_free(struct mt_block *block)
{
    block->by_size.key = block->size;
    block->by_address.key = (uintptr_t)block;
    mt_tree_insert(&by_size, &block->by_size);
    mt_tree_insert(&by_address, &block->by_address);
    mt_oversize_totals.free++;
}

static void remove_free(struct mt_block *block)
{
    mt_tree_remove(&by_size, &block->by_size);
    mt_tree_remove(&by_address, &block->by_address);
    mt_oversize_totals.free--;
}

/* Everything behind the struct. */
static void fill_freed(struct mt_block *block)
{
    mt_pattern_fill_freed(data_of(block), block->size - sizeof *block);
    block->patterned = true;
    block->fresh = false;
}

/*
 * Append `next`, which lies right behind and is in no tree. Its struct becomes data, and must look
 * like the rest: zero in fresh memory, the pattern in memory where writes after free are looked
 * for.
 */
static void append(struct mt_block *block, struct mt_block *next)
{
    if (unlikely(block->patterned != next->patterned) && mt_option_bits() & MTDEBUGPATTERN)
        fill_freed(block->patterned ? next : block);
    block->patterned = block->patterned && next->patterned;
    block->fresh = block->fresh && next->fresh;
    block->size += next->size;
    if (block->patterned)
        mt_pattern_fill_freed(next, sizeof *next);
    else if (block->fresh)
        memset(next, 0, sizeof *next);
}

/* Join with free neighbours, and make it one of them. */
static void give_back(struct mt_block *block)
{
    struct mt_node *node = mt_tree_at_least(by_address, (uintptr_t)block);
    if (node != NULL && (char *)block_by_address(node) == end_of(block)) {
        struct mt_block *next = block_by_address(node);
        remove_free(next);
        append(block, next);
    }
    node = mt_tree_at_most(by_address, (uintptr_t)block);
    if (node != NULL && end_of(block_by_address(node)) == (char *)block) {
        struct mt_block *before = block_by_address(node);
        remove_free(before);
        append(before, block);
        block = before;
    }
    insert_free(block);
}

/* Cut what is behind the first `size` bytes off, if that is oversize by itself. NULL: it is not. */
static struct mt_block *split(struct mt_block *block, size_t size)
{
    if (block->size - size <= sizeof *block + MT_BUFFER_MAX)
        return NULL;
    struct mt_block *rest = (struct mt_block *)((char *)block + size);
    if (block->patterned) /* its struct ends the search for writes there; look before it is gone */
        mt_pattern_check_freed(rest, sizeof *rest);
    *rest = (struct mt_block){
        .size = block->size - size,
        .fresh = block->fresh,
        .patterned = block->patterned,
    };
    block->size = size;
    return rest;
}

/* A block of at least `size` bytes, in no tree: the smallest free one, or a new one. */
static struct mt_block *take(size_t size)
{
    struct mt_node *node = mt_tree_at_least(by_size, size);
    if (node != NULL) {
        remove_free(block_by_size(node));
        return block_by_size(node);
    }
    size = ALIGN_UP(size, (size_t)MT_REGION_UNIT);
    struct mt_block *block = mt_region_alloc(size);
    if (block == NULL)
        return NULL;
    *block = (struct mt_block){.size = size, .fresh = true};
    mt_oversize_totals.held_bytes += size;
    return block;
}

/* ---- allocate and free ------------------------------------------------------------------- */

/* A block of its own for the data at `p`, when what is in front is oversize by itself; that becomes
 * free. */
static struct mt_block *cut_front(struct mt_block *block, char *p)
{
    struct mt_block *start = (struct mt_block *)p - 1;
    size_t front = (size_t)((char *)start - (char *)block);
    if (front <= sizeof *block + MT_BUFFER_MAX)
        return block;
    start = split(block, front);
    give_back(block);
    return start;
}

static void make_live(struct mt_block *block, char *p, size_t requested)
{
    block->p = p;
    block->requested = requested;
    block->patterned = false;
    block->fresh = false;
    mt_live_insert(block);
    *mt_head_of(p) = (struct mt_head){block, mt_head_info(block, MT_HEAD_OVERSIZE)};
    mt_oversize_totals.live++;
    mt_oversize_totals.live_bytes += block->size;
    mt_oversize_totals.requested_bytes += requested;
}

/* Check what was freed before, but for the new head, and fill what is new. */
static void look_over(struct mt_block *block, bool patterned)
{
    char *p = block->p;
    if (patterned && mt_option_bits() & MTDEBUGPATTERN) {
        char *head = (char *)mt_head_of(p);
        if (head > data_of(block))
            mt_pattern_check_freed(data_of(block), (size_t)(head - data_of(block)));
        mt_pattern_check_freed(p, (size_t)(end_of(block) - p));
    }
    if (mt_option_bits() & MTINITBUFFER)
        mt_pattern_fill_new(p, (size_t)(end_of(block) - p));
}

void *mt_oversize_alloc(size_t alignment, size_t size, bool *zeroed)
{
    size_t data = data_size(size);
    size_t slack = alignment > MT_BLOCK_GRAIN ? alignment : 0;
    if (!mt_oversize_acquire())
        return NULL;
    struct mt_block *block = take(sizeof *block + data + slack);
    if (block == NULL) {
        mt_oversize_release();
        return NULL;
    }
    char *p = (char *)ALIGN_UP((uintptr_t)data_of(block), alignment);
    block = cut_front(block, p);
    struct mt_block *rest = split(block, (size_t)(p - (char *)block) + data);
    if (rest != NULL)
        give_back(rest);
    bool patterned = block->patterned;
    *zeroed = block->fresh && !(mt_option_bits() & MTINITBUFFER);
    make_live(block, p, size);
    mt_oversize_release();
    if (unlikely(mt_option_bits() & (MTDEBUGPATTERN | MTINITBUFFER)))
        look_over(block, patterned);
    return p;
}

void mt_oversize_free(void *p)
{
    if (!mt_oversize_acquire())
        return; /* as in mt_free_any() */
    struct mt_block *block = mt_live_remove(p);
    if (block == NULL) {
        mt_oversize_release();
        if (started_over || mt_option_bits() & MTDOUBLEFREE)
            return;
        mt_abort_double_free(p);
    }
    mt_oversize_totals.live--;
    mt_oversize_totals.live_bytes -= block->size;
    mt_oversize_totals.requested_bytes -= block->requested;
    if (unlikely(mt_option_bits() & MTDEBUGPATTERN))
        fill_freed(block);
    give_back(block);
    mt_oversize_release();
}

size_t mt_oversize_usable_size(void *p)
{
    /* The size of a live block changes only in mt_oversize_trim(), which its owner calls. */
    struct mt_block *block = mt_head_of(p)->owner;
    return (size_t)(end_of(block) - (char *)p);
}

void mt_oversize_trim(void *p, size_t size)
{
    struct mt_block *block = mt_head_of(p)->owner;
    size_t kept = data_size(size) + (size_t)((char *)p - (char *)block);
    if (block->size <= kept || block->size - kept <= sizeof *block + MT_BUFFER_MAX)
        return;
    if (!mt_oversize_acquire())
        return;
    size_t before = block->size;
    struct mt_block *rest = split(block, kept);
    mt_oversize_totals.live_bytes -= before - block->size;
    if (unlikely(mt_option_bits() & MTDEBUGPATTERN))
        fill_freed(rest);
    give_back(rest);
    mt_oversize_release();
}
