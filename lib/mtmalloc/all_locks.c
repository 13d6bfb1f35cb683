/* SPDX-License-Identifier: MIT */
/*
 * all_locks.c - every lock at once: for fork, so that the child finds a heap that nobody was
 * changing, and for statistics, which are then of one moment.
 *
 * These acquisitions are not counted: they are not the program's.
 */
#include "all_locks.h"

#include "heap.h"
#include "mtmalloc_api.h"
#include "oversize.h"
#include "stats.h"

/* Parent locks first: while they are held, no cache is added. */
#define FOR_EACH_LIST(list)                                                                        \
    for (struct mt_list *list = mt_heap.lists, *end_ = list + mt_heap.list_count; list < end_;     \
         list++)
#define FOR_EACH_CACHE(list, cache)                                                                \
    for (unsigned size_ = 0; size_ < MT_SIZES; size_++)                                            \
        for (struct mt_cache *cache = list->newest[size_]; cache != NULL; cache = cache->next)

void mt_all_locks_acquire(void)
{
    struct malloctap_lock_row *rows = mt_stats_rows();
    FOR_EACH_LIST(list)
    mt_lock_acquire(&list->parent, &rows[list->row]);
    FOR_EACH_LIST(list)
    FOR_EACH_CACHE(list, cache)
    mt_lock_acquire(&cache->lock, mt_stats_cache_row(cache));
    mt_lock_acquire(&mt_oversize_lock, &rows[MT_STATS_OVERSIZE_ROW]);
}

static void all_locks(void (*end)(struct mt_lock *lock))
{
    end(&mt_oversize_lock);
    FOR_EACH_LIST(list)
    FOR_EACH_CACHE(list, cache)
    end(&cache->lock);
    FOR_EACH_LIST(list)
    end(&list->parent);
}

static void release(struct mt_lock *lock)
{
    mt_lock_release(lock);
}

static void reset(struct mt_lock *lock)
{
    mt_lock_reset(lock);
}

void mt_all_locks_release(void)
{
    all_locks(release);
}

/* ---- fork -------------------------------------------------------------------------------------
 */

/* Without memory for a heap there is no lock that anybody could hold for long. */
void mtmalloc_fork_prepare(void)
{
    if (mt_heap_ready())
        mt_all_locks_acquire();
}

void mtmalloc_fork_parent(void)
{
    if (mt_heap.lists != NULL)
        mt_all_locks_release();
}

void mtmalloc_fork_child(void)
{
    if (mt_heap.lists == NULL)
        return;
    mt_stats_forget();
    all_locks(reset);
}
