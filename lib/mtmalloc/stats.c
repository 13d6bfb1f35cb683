/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include "all_locks.h"
#include "mtmalloc_api.h"
#include "oversize.h"

static struct malloctap_lock_row *_Atomic nowhere; /* always NULL */
struct malloctap_lock_row *_Atomic *_Atomic mt_stats_where = &nowhere;

/* Rows that have been given to a lock, from the first on; under the oversize lock. */
static uint32_t rows_used;

/* ---- which row --------------------------------------------------------------------------------
 */

size_t mt_stats_row_count(uint32_t lists)
{
    return MT_STATS_FIRST_PARENT_ROW + lists + MT_STATS_CACHES + (size_t)lists * MT_SIZES;
}

size_t mtmalloc_stats_rows(void)
{
    return mt_heap_ready() ? mt_stats_row_count(mt_heap.list_count) : 0;
}

void mt_stats_assign_row(struct mt_cache *cache)
{
    uint32_t first = MT_STATS_FIRST_PARENT_ROW + mt_heap.list_count;
    if (rows_used < first)
        rows_used = first;
    if (rows_used - first < MT_STATS_CACHES) {
        cache->row = rows_used++;
        return;
    }
    cache->row = MT_STATS_SHARED_ROW;
    struct mt_shared_row *shared = &cache->list->shared[cache->size];
    if (shared->row == 0)
        shared->row = rows_used++;
}

struct malloctap_lock_row *mt_stats_cache_row(const struct mt_cache *cache)
{
    uint32_t row = cache->row;
    if (row == MT_STATS_SHARED_ROW)
        row = cache->list->shared[cache->size].row;
    return &mt_stats_rows()[row];
}

/* ---- what is in it ----------------------------------------------------------------------------
 */

/* Release: a reader in another process sees no kind without the rest. */
static void set_kind(struct malloctap_lock_row *row, uint32_t kind)
{
    __atomic_store_n(&row->kind, kind, __ATOMIC_RELEASE);
}

void mt_stats_count_parent(const struct mt_list *list, struct malloctap_lock_row *rows)
{
    struct malloctap_lock_row *row = &rows[list->row];
    row->acquisitions++;
    row->list = list->number;
    set_kind(row, MALLOCTAP_LOCK_PARENT);
}

static void describe_cache(const struct mt_cache *cache, struct malloctap_lock_row *row)
{
    row->list = cache->list->number;
    row->buffer_size = (uint32_t)mt_cache_buffer_size(cache);
    row->caches = 1;
    row->held_bytes = cache->chunk_size;
    row->buffers = cache->buffers;
    set_kind(row, MALLOCTAP_LOCK_CACHE);
}

static void count_shared(struct mt_cache *cache, struct malloctap_lock_row *rows, int64_t buffers,
                         int64_t requested)
{
    struct mt_shared_row *shared = &cache->list->shared[cache->size];
    struct malloctap_lock_row *row = &rows[shared->row];
    mt_lock_acquire(&shared->lock, row);
    if (!cache->row_counted) {
        cache->row_counted = true;
        shared->caches++;
        shared->held_bytes += cache->chunk_size;
        shared->buffers += cache->buffers;
    }
    cache->in_use += (uint32_t)buffers;
    shared->in_use += (uint64_t)buffers;
    shared->requested += (uint64_t)requested;

    describe_cache(cache, row);
    row->acquisitions++;
    row->caches = shared->caches;
    row->held_bytes = shared->held_bytes;
    row->buffers = shared->buffers;
    row->in_use = shared->in_use;
    row->in_use_bytes = shared->in_use * mt_cache_buffer_size(cache);
    row->requested_bytes = shared->requested;
    mt_lock_release(&shared->lock);
}

void mt_stats_count_cache(struct mt_cache *cache, struct malloctap_lock_row *rows, int buffers,
                          uint32_t requested)
{
    if (cache->row == MT_STATS_SHARED_ROW) {
        count_shared(cache, rows, buffers, buffers * (int64_t)requested);
        return;
    }
    struct malloctap_lock_row *row = &rows[cache->row];
    mt_stats_count_described(cache, row, buffers, requested);
    describe_cache(cache, row);
}

void mt_stats_count_oversize(struct malloctap_lock_row *rows)
{
    const struct mt_oversize_totals *now = &mt_oversize_totals;
    struct malloctap_lock_row *row = &rows[MT_STATS_OVERSIZE_ROW];
    row->acquisitions++;
    row->held_bytes = now->held_bytes;
    row->buffers = now->live + now->free;
    row->in_use = now->live;
    row->in_use_bytes = now->live_bytes;
    row->requested_bytes = now->requested_bytes;
    set_kind(row, MALLOCTAP_LOCK_OVERSIZE);
}

/* ---- where it goes ----------------------------------------------------------------------------
 */

static uint32_t rows_in_use(void)
{
    uint32_t first = MT_STATS_FIRST_PARENT_ROW + mt_heap.list_count;
    return rows_used > first ? rows_used : first;
}

void mtmalloc_stats_attach(struct malloctap_lock_row *_Atomic *where)
{
    if (!mt_heap_ready())
        return;
    mt_all_locks_acquire();
    struct malloctap_lock_row *rows = atomic_load_explicit(where, memory_order_relaxed);
    for (uint32_t i = 0; rows != NULL && i < rows_in_use(); i++)
        if (mt_heap.rows[i].kind != 0) {
            rows[i] = mt_heap.rows[i];
            mt_heap.rows[i] = (struct malloctap_lock_row){0};
        }
    atomic_store_explicit(&mt_stats_where, where, memory_order_relaxed);
    mt_all_locks_release();
}

void mt_stats_forget(void)
{
    for (uint32_t i = 0; i < rows_in_use(); i++)
        if (mt_heap.rows[i].kind != 0)
            mt_heap.rows[i] = (struct malloctap_lock_row){0};
}

size_t mtmalloc_stats_snapshot(struct malloctap_lock_row *ret, size_t rows)
{
    size_t count = 0;
    if (!mt_heap_ready())
        return 0;
    mt_all_locks_acquire();
    const struct malloctap_lock_row *from = mt_stats_rows();
    for (uint32_t i = 0; i < rows_in_use() && count < rows; i++)
        if (from[i].kind != 0)
            ret[count++] = from[i];
    mt_all_locks_release();
    return count;
}
