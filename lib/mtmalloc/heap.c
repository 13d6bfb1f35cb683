/* SPDX-License-Identifier: MIT */
/* heap.c - the lists come into being, and caches are found and made in them. */
#include "heap.h"

#include "all_locks.h"
#include "options.h"
#include "os.h"
#include "oversize.h"
#include "region.h"
#include "stats.h"

struct mt_heap mt_heap;

/* Counts up from 0 in the order of the threads' first calls. */
static _Atomic uint32_t next_thread;

/* Headers of chunks lie 72 KiB apart, which is the same set of a processor cache every time. So
 * they begin a few cache lines further in from one chunk to the next. */
#define COLOURS 16u
#define COLOUR_SIZE 64u

static uint32_t list_count_for(unsigned processors)
{
    uint32_t count = 2;
    while (count < 2 * processors)
        count *= 2;
    return count;
}

/* Under the oversize lock. */
static bool create_lists(void)
{
    uint32_t count = list_count_for(mt_os_processors());
    size_t rows_size = mt_stats_row_count(count) * sizeof *mt_heap.rows;
    char *memory = mt_os_map(rows_size + count * sizeof(struct mt_list));
    if (memory == NULL)
        return false;
    mt_lock_prepare();
    mt_os_barrier_prepare();
    mt_all_locks_init();
    mt_heap.rows = (void *)memory; /* a row is as large as a CACHE_LINE: lists stay aligned */
    struct mt_list *lists = (void *)(memory + rows_size);
    for (uint32_t i = 0; i < count; i++) {
        lists[i].number = i;
        lists[i].parent.rank = MT_RANK_PARENT;
        for (size_t size = 0; size < ARRAY_LENGTH(lists[i].totals); size++)
            lists[i].totals[size].lock.rank = MT_RANK_TOTALS;
    }
    mt_heap.list_count = count;
    /* Release: pairs with the acquire in mt_heap_ready(). */
    atomic_store_explicit(&mt_heap.lists, lists, memory_order_release);
    return true;
}

bool mt_heap_ready(void)
{
    if (likely(atomic_load_explicit(&mt_heap.lists, memory_order_acquire) != NULL))
        return true;
    static struct malloctap_lock_row before_the_first; /* waits for it are not counted */
    if (!mt_heap_lock(&mt_oversize_lock, &before_the_first))
        return false;
    bool ready =
        atomic_load_explicit(&mt_heap.lists, memory_order_relaxed) != NULL || create_lists();
    mt_heap_unlock(&mt_oversize_lock);
    return ready;
}

struct mt_list *mt_heap_choose_list(void)
{
    if (!mt_heap_ready())
        return NULL;
    uint32_t thread = atomic_fetch_add_explicit(&next_thread, 1, memory_order_relaxed);
    return &mt_heap.lists[thread & (mt_heap.list_count - 1)];
}

/* ---- making a cache ---------------------------------------------------------------------- */

/* buffers * stride + their bits, in whole words and one more, fit in `space`. */
static uint32_t buffers_that_fit(size_t space, uint32_t stride)
{
    return (uint32_t)((space - MT_ALIGNMENT - 2 * sizeof(uint64_t)) * 8 / (stride * 8 + 1));
}

static void init_mask(struct mt_cache *cache)
{
    uint32_t words = cache->buffers / 64, rest = cache->buffers % 64;
    for (uint32_t w = 0; w < words; w++)
        cache->mask[w] = ~UINT64_C(0);
    if (rest != 0)
        cache->mask[words++] = (UINT64_C(1) << rest) - 1;
    for (uint32_t w = 0; w < words; w++)
        cache->summary[w / 64] |= UINT64_C(1) << w % 64;
}

/* Everything not named here is zero in fresh memory. */
static void init_cache(struct mt_cache *cache, struct mt_list *list, unsigned size, size_t space)
{
    cache->size = (uint8_t)size;
    cache->lock.rank = MT_RANK_CACHE;
    cache->stride = (uint32_t)((MT_BUFFER_MIN << size) + sizeof(struct mt_head));
    cache->buffers = buffers_that_fit(space - sizeof *cache, cache->stride);
    size_t words = (cache->buffers + 63) / 64;
    char *first_head = (char *)ALIGN_UP((uintptr_t)&cache->mask[words + 1], MT_ALIGNMENT);
    cache->buffer = first_head + sizeof(struct mt_head);
    cache->head_info = mt_head_info(cache, MT_HEAD_BUFFER);
    mt_stats_begin(cache);
    cache->list = list;
    cache->with_room.key = ++list->created[size];
    cache->next = mt_list_newest(list, size);
    init_mask(cache);
}

static struct mt_cache *create_cache(struct mt_list *list, unsigned size)
{
    static uint32_t colour; /* under the oversize lock */
    size_t chunk_size = atomic_load_explicit(&mt_chunk_size, memory_order_relaxed);

    if (!mt_oversize_acquire())
        return NULL;
    char *chunk = mt_region_alloc(chunk_size);
    size_t skipped = colour++ % COLOURS * COLOUR_SIZE;
    mt_oversize_release();
    if (chunk == NULL)
        return NULL;
    struct mt_cache *cache = (void *)(chunk + skipped);
    cache->chunk_size = chunk_size;
    init_cache(cache, list, size, chunk_size - skipped);
    atomic_store_explicit(&list->newest[size], cache, memory_order_release);
    return cache;
}

/* ---- finding one ------------------------------------------------------------------------- */

static struct mt_cache *cache_of_node(struct mt_node *node)
{
    return (struct mt_cache *)((char *)node - offsetof(struct mt_cache, with_room));
}

/* Under the cache's lock, by the thread that freed a buffer. */
void mt_heap_cache_has_room(struct mt_cache *cache)
{
    if (cache->known)
        return;
    cache->known = true;
    struct mt_cache *_Atomic *head = &cache->list->back[cache->size];
    struct mt_cache *first = atomic_load_explicit(head, memory_order_relaxed);
    do
        cache->next_back = first;
    /* Release: pairs with the acquire in take_back(), which follows `next_back`. */
    while (!atomic_compare_exchange_weak_explicit(head, &first, cache, memory_order_release,
                                                  memory_order_relaxed));
}

static void take_back(struct mt_list *list, unsigned size)
{
    struct mt_cache *cache =
        atomic_exchange_explicit(&list->back[size], NULL, memory_order_acquire);
    while (cache != NULL) {
        struct mt_cache *next = cache->next_back;
        mt_tree_insert(&list->with_room[size], &cache->with_room);
        cache = next;
    }
}

/* From the hint towards older caches, then from the newest again: as if the list were searched. */
static struct mt_node *next_with_room(struct mt_list *list, unsigned size)
{
    struct mt_node *tree = list->with_room[size], *node = NULL;
    if (list->hint[size] != NULL)
        node = mt_tree_at_most(tree, list->hint[size]->with_room.key);
    return node != NULL ? node : mt_tree_at_most(tree, UINT64_MAX);
}

/* New, locked, and in the tree. */
static struct mt_cache *add_cache(struct mt_list *list, unsigned size)
{
    struct mt_cache *cache = create_cache(list, size);
    if (cache == NULL)
        return NULL;
    mt_heap_lock(&cache->lock, mt_stats_cache_row(cache));
    cache->known = true;
    mt_tree_insert(&list->with_room[size], &cache->with_room);
    mt_stats_count_created(cache);
    return cache;
}

struct mt_cache *mt_heap_find_cache(struct mt_list *list, unsigned size)
{
    struct mt_cache *cache;
    take_back(list, size);
    for (;;) {
        struct mt_node *node = next_with_room(list, size);
        cache = node != NULL ? cache_of_node(node) : NULL;
        if (cache == NULL || !mt_heap_lock(&cache->lock, mt_stats_cache_row(cache)))
            cache = add_cache(list, size);
        if (cache == NULL)
            return NULL;
        if (!mt_cache_full(cache))
            break;
        mt_tree_remove(&list->with_room[size], &cache->with_room);
        cache->known = false;
        mt_stats_count_look(cache);
        mt_heap_unlock(&cache->lock);
    }
    list->hint[size] = cache;
    return cache;
}

void mt_cache_first_emptied(struct mt_cache *cache)
{
    uint32_t word = cache->first;
    cache->summary[word / 64] &= ~(UINT64_C(1) << word % 64);
    for (uint32_t s = word / 64; s < MT_SUMMARIES; s++)
        if (cache->summary[s] != 0) {
            cache->first = s * 64 + (uint32_t)__builtin_ctzll(cache->summary[s]);
            return;
        }
    cache->first = (cache->buffers + 63) / 64;
}
