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
void mt_all_locks_acquire(void)
{
    MT_FOR_EACH_LIST(list)
    {
        mt_lock_acquire(&list->parent, mt_stats_parent_row(list));
    }
    MT_FOR_EACH_CACHE(cache)
    {
        mt_lock_acquire(&cache->lock, mt_stats_cache_row(cache));
    }
    mt_lock_acquire(&mt_oversize_lock, mt_stats_oversize_row());
}

static void end_all(void (*end)(struct mt_lock *lock))
{
    end(&mt_oversize_lock);
    MT_FOR_EACH_CACHE(cache)
    {
        end(&cache->lock);
    }
    MT_FOR_EACH_LIST(list)
    {
        end(&list->parent);
    }
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
    end_all(release);
}

/* ---- fork -------------------------------------------------------------------------------- */

/* Whether this thread, which forks, got them: without memory for a heap there is none to get. */
static _Thread_local bool held __attribute__((tls_model("initial-exec")));

void mtmalloc_fork_prepare(void)
{
    held = mt_heap_ready();
    if (!held)
        return;
    mt_all_locks_acquire();
    mt_stats_publish_all(); /* so that nothing of the parent's is left for the child to publish */
}

void mtmalloc_fork_parent(void)
{
    if (held)
        mt_all_locks_release();
}

void mtmalloc_fork_child(void)
{
    if (!held)
        return;
    mt_stats_forget();
    end_all(reset);
}
