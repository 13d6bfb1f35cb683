/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include "all_locks.h"
#include "mtmalloc_api.h"
#include "oversize.h"

/* Points to NULL until a recording is attached. */
static struct malloctap_lock_row *_Atomic nowhere;
static struct malloctap_lock_row *_Atomic *_Atomic attached = &nowhere;

/* ---- which row --------------------------------------------------------------------------- */

#define OVERSIZE_ROW 0u
#define FIRST_PARENT_ROW 1u
#define ROWS_PER_LIST (1u + MT_SIZES) /* its parent lock, then its caches by size */

size_t mt_stats_row_count(uint32_t lists)
{
    return FIRST_PARENT_ROW + (size_t)lists * ROWS_PER_LIST;
}

size_t mtmalloc_stats_rows(void)
{
    return mt_heap_ready() ? mt_stats_row_count(mt_heap.list_count) : 0;
}

static struct malloctap_lock_row *rows(void)
{
    struct malloctap_lock_row *_Atomic *where =
        atomic_load_explicit(&attached, memory_order_relaxed);
    struct malloctap_lock_row *array = atomic_load_explicit(where, memory_order_relaxed);
    return array != NULL ? array : mt_heap.rows;
}

struct malloctap_lock_row *mt_stats_oversize_row(void)
{
    return &rows()[OVERSIZE_ROW];
}

struct malloctap_lock_row *mt_stats_parent_row(const struct mt_list *list)
{
    return &rows()[FIRST_PARENT_ROW + list->number * ROWS_PER_LIST];
}

struct malloctap_lock_row *mt_stats_cache_row(const struct mt_cache *cache)
{
    return mt_stats_parent_row(cache->list) + 1 + cache->size;
}

/* Release: a reader in another process sees no kind without the rest. */
static void set_kind(struct malloctap_lock_row *row, uint32_t kind)
{
    __atomic_store_n(&row->kind, kind, __ATOMIC_RELEASE);
}

/* ---- caches ------------------------------------------------------------------------------ */

/* Caches of one list and size have different locks and the same row: that is locked by itself.
 * NULL: by this thread; what a signal handler did then goes uncounted, or is published later. */
static struct mt_totals *totals_lock(struct mt_cache *cache)
{
    struct mt_totals *totals = &cache->list->totals[cache->size];
    return mt_lock_acquire(&totals->lock, mt_stats_cache_row(cache)) ? totals : NULL;
}

/* Amounts are written whole, because the row may be a new one: that of a fork child. */
static void totals_unlock(struct mt_totals *totals, const struct mt_cache *cache,
                          uint64_t acquisitions)
{
    struct malloctap_lock_row *row = mt_stats_cache_row(cache);
    row->acquisitions += acquisitions;
    row->list = cache->list->number;
    row->buffer_size = (uint32_t)mt_cache_buffer_size(cache);
    row->caches = totals->caches;
    row->held_bytes = totals->held_bytes;
    row->buffers = totals->buffers;
    row->in_use = totals->in_use;
    row->in_use_bytes = totals->in_use * row->buffer_size;
    row->requested_bytes = totals->requested;
    set_kind(row, MALLOCTAP_LOCK_CACHE);
    mt_lock_release(&totals->lock);
}

void mt_stats_count_created(struct mt_cache *cache)
{
    struct mt_totals *totals = totals_lock(cache);
    if (totals == NULL)
        return;
    totals->caches++;
    totals->held_bytes += cache->chunk_size;
    totals->buffers += cache->buffers;
    totals_unlock(totals, cache, 0);
}

void mt_stats_count_look(struct mt_cache *cache)
{
    struct mt_totals *totals = totals_lock(cache);
    if (totals != NULL)
        totals_unlock(totals, cache, 1);
}

/* Atomic because any cache of the list may publish, and parent locks are not held by those who
 * return. */
static void count_parent(const struct mt_list *list, uint32_t acquisitions)
{
    struct malloctap_lock_row *row = mt_stats_parent_row(list);
    __atomic_fetch_add(&row->acquisitions, acquisitions, __ATOMIC_RELAXED);
    __atomic_store_n(&row->list, list->number, __ATOMIC_RELAXED);
    set_kind(row, MALLOCTAP_LOCK_PARENT);
}

/* So many of either until it is time to publish. */
static uint32_t counts_before(uint32_t n)
{
    return MT_LOCK_DUE - n * (MT_LOCK_TAKEN + MT_LOCK_RETURNED);
}

void mt_stats_begin(struct mt_cache *cache)
{
    cache->begun = MT_COUNTED ? counts_before(0) : 0;
    atomic_store_explicit(&cache->lock.state, cache->begun, memory_order_relaxed);
}

/* Twice as many as the last time. */
static void begin_again(struct mt_cache *cache)
{
    uint32_t n = (MT_LOCK_DUE - cache->begun) / MT_LOCK_RETURNED;
    n = n == 0 ? 1 : n < MT_STATS_EVERY ? 2 * n : n;
    cache->begun = counts_before(n);
    cache->lock.counts = cache->begun;
}

void mt_stats_publish(struct mt_cache *cache)
{
    uint64_t counts = cache->lock.counts;
    struct mt_totals *totals = counts != cache->begun ? totals_lock(cache) : NULL;
    if (totals == NULL)
        return;
    uint32_t low = (uint32_t)counts;
    uint32_t taken = (low & MT_LOCK_TAKEN_MASK) - (cache->begun & MT_LOCK_TAKEN_MASK);
    uint32_t returned = low / MT_LOCK_RETURNED - cache->begun / MT_LOCK_RETURNED;
    taken /= MT_LOCK_TAKEN;
    totals->in_use += taken;
    totals->in_use -= returned;
    totals->requested += (uint64_t)((int64_t)counts >> MT_LOCK_BYTES_SHIFT);
    begin_again(cache);
    totals_unlock(totals, cache, taken + returned);
    count_parent(cache->list, taken); /* who took a buffer had the parent lock, too */
}

void mt_stats_count_failure(const struct mt_list *list)
{
    count_parent(list, 1);
}

/* ---- the oversize lock ----------------------------------------------------------------------- */

void mt_stats_count_oversize(void)
{
    const struct mt_oversize_totals *now = &mt_oversize_totals;
    struct malloctap_lock_row *row = mt_stats_oversize_row();
    row->acquisitions++;
    row->held_bytes = now->held_bytes;
    row->buffers = now->live + now->free;
    row->in_use = now->live;
    row->in_use_bytes = now->live_bytes;
    row->requested_bytes = now->requested_bytes;
    set_kind(row, MALLOCTAP_LOCK_OVERSIZE);
}

/* ---- all of it --------------------------------------------------------------------------- */

void mt_stats_publish_all(void)
{
    if (!mt_thread.exclusive)
        return;
    MT_FOR_EACH_CACHE(cache)
    {
        mt_stats_publish(cache);
    }
}

void mtmalloc_stats_attach(struct malloctap_lock_row *_Atomic *where)
{
    if (!mt_heap_ready())
        return;
    mt_all_locks_acquire();
    mt_stats_publish_all();
    struct malloctap_lock_row *to = atomic_load_explicit(where, memory_order_relaxed);
    if (to != NULL) {
        for (size_t i = 0; i < mt_stats_row_count(mt_heap.list_count); i++)
            to[i] = mt_heap.rows[i];
        mt_stats_forget();
    }
    atomic_store_explicit(&attached, where, memory_order_relaxed);
    mt_all_locks_release();
}

void mt_stats_forget(void)
{
    for (size_t i = 0; i < mt_stats_row_count(mt_heap.list_count); i++)
        if (mt_heap.rows[i].kind != 0)
            mt_heap.rows[i] = (struct malloctap_lock_row){0};
}

/* At the end of the process: not all at once, and rather not exact than in a deadlock. */
void mtmalloc_stats_publish(void)
{
    if (mt_heap.lists == NULL)
        return;
    MT_FOR_EACH_LIST(list)
    {
        if (!mt_lock_try_for_a_while(&list->parent))
            continue;
        for (unsigned size = 0; size < MT_SIZES; size++)
            for (struct mt_cache *cache = mt_list_newest(list, size); cache != NULL;
                 cache = cache->next)
                if (mt_lock_try_for_a_while(&cache->lock)) {
                    mt_stats_publish(cache);
                    mt_lock_release(&cache->lock);
                }
        mt_lock_release(&list->parent);
    }
}

size_t mtmalloc_stats_snapshot(struct malloctap_lock_row *ret, size_t count)
{
    size_t used = 0;
    if (!mt_heap_ready())
        return 0;
    mt_all_locks_acquire();
    mt_stats_publish_all();
    for (size_t i = 0; i < mt_stats_row_count(mt_heap.list_count) && used < count; i++)
        if (rows()[i].kind != 0)
            ret[used++] = rows()[i];
    mt_all_locks_release();
    return used;
}
