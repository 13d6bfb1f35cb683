/* SPDX-License-Identifier: MIT */
#include "repair.h"

#include "heap.h"
#include "oversize.h"

#include <string.h>

static bool held_by_nobody_here(struct mt_lock *lock)
{
    atomic_store_explicit(&lock->sleepers, 0, memory_order_relaxed);
    return atomic_load_explicit(&lock->state, memory_order_relaxed) == MT_LOCK_HELD &&
           !mt_lock_is_mine(lock);
}

static void make_free(struct mt_lock *lock, uint32_t counts)
{
    atomic_store_explicit(&lock->among_all, NULL, memory_order_relaxed);
    atomic_store_explicit(&lock->state, counts, memory_order_release);
}

/* All follows from the mask, of which a call changes one word, once. */
static void repair_cache(struct mt_cache *cache)
{
    uint32_t words = (cache->buffers + 63) / 64;
    memset(cache->summary, 0, sizeof cache->summary);
    cache->first = words;
    for (uint32_t w = words; w-- > 0;)
        if (cache->mask[w] != 0) {
            cache->summary[w / 64] |= UINT64_C(1) << w % 64;
            cache->first = w;
        }
}

/* All follows from the chains of caches, which are whole at every moment. Full caches in the tree
 * are dropped by the next search. */
static void repair_list(struct mt_list *list, unsigned size)
{
    list->hint[size] = NULL;
    list->with_room[size] = NULL;
    atomic_store_explicit(&list->back[size], NULL, memory_order_relaxed);
    for (struct mt_cache *cache = mt_list_newest(list, size); cache != NULL; cache = cache->next) {
        cache->known = true;
        mt_tree_insert(&list->with_room[size], &cache->with_room);
    }
}

void mt_repair(void)
{
    MT_FOR_EACH_CACHE(cache)
    {
        if (held_by_nobody_here(&cache->lock)) {
            repair_cache(cache);
            make_free(&cache->lock, cache->begun);
        }
    }
    MT_FOR_EACH_LIST(list)
    {
        bool held = held_by_nobody_here(&list->parent);
        for (unsigned size = 0; size < MT_SIZES; size++) {
            if (held_by_nobody_here(&list->totals[size].lock))
                make_free(&list->totals[size].lock, 0);
            /* Also of a free list: who returned a buffer may have been about to enter its cache. */
            if (!mt_lock_is_mine(&list->parent))
                repair_list(list, size);
        }
        if (held)
            make_free(&list->parent, 0);
    }
    if (held_by_nobody_here(&mt_oversize_lock)) {
        mt_oversize_start_over();
        make_free(&mt_oversize_lock, 0);
    }
}
