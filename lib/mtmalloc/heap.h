/* SPDX-License-Identifier: MIT */
/*
 * heap.h - the shape of the heap: lists, caches, buffers, and the word in front of each.
 *
 *   list (one of a power of two; a thread has one)
 *    +- parent lock
 *    +- for each of 13 buffer sizes: the caches, newest first
 *         cache = one chunk: | struct mt_cache | mask, 1 = free | head buffer | head buffer | ...
 *
 * Requests above 64 KiB: oversize.h.
 */
#ifndef MTMALLOC_HEAP_H
#define MTMALLOC_HEAP_H

#include "lock.h"
#include "tree.h"

#include <compiler.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT_ALIGNMENT 16u
#define MT_SIZES 13u /* of buffers: 2^4 ... 2^16 bytes */
#define MT_BUFFER_MIN ((size_t)16)
#define MT_BUFFER_MAX ((size_t)65536)
/* Larger requests can never be met: the address space has 2^47 bytes. */
#define MT_REQUEST_MAX (((size_t)1 << 47) - ((size_t)1 << 20))

/* The smallest size that holds `request` bytes, 1 ... MT_BUFFER_MAX. */
static always_inline unsigned mt_size_of(size_t request)
{
    return 60 - (unsigned)__builtin_clzll((request - 1) | (MT_BUFFER_MIN - 1));
}

/* ---- the word in front of a block -------------------------------------------------------- */

/*
 * Which block it is, right in front of every pointer handed out.
 *
 *   info:  63      40 39       23 22 19 18        17              0
 *         +----------+-----------+-----+---------+-----------------+
 *         | check    | index     | 0   | pattern | bytes requested |
 *         +----------+-----------+-----+---------+-----------------+
 *
 * The check is made of `owner`, differently for buffers and oversize blocks. So a word that was
 * overwritten, or never was one, is noticed before `owner` is followed.
 */
struct mt_head {
    void *owner; /* buffer: its cache; oversize: its block */
    uint64_t info;
};

#define MT_HEAD_REQUESTED_BITS 18
#define MT_HEAD_REQUESTED(info) ((uint32_t)(info) & ((1u << MT_HEAD_REQUESTED_BITS) - 1))
/* The buffer was filled with the pattern of freed memory, and not handed out since. */
#define MT_HEAD_PATTERN (UINT64_C(1) << 18)
#define MT_HEAD_INDEX_SHIFT 23
#define MT_HEAD_INDEX(info) ((uint32_t)((info) >> MT_HEAD_INDEX_SHIFT) & ((1u << 17) - 1))
#define MT_HEAD_CHECK_SHIFT 40
#define MT_HEAD_BUFFER (UINT64_C(0x6d74b0) << MT_HEAD_CHECK_SHIFT)
#define MT_HEAD_OVERSIZE (UINT64_C(0x570e51) << MT_HEAD_CHECK_SHIFT)

/* `kind` is MT_HEAD_BUFFER or MT_HEAD_OVERSIZE. Owners are aligned to 64: six bits say nothing. */
static always_inline uint64_t mt_head_check(const void *owner, uint64_t kind)
{
    return ((uintptr_t)owner << (MT_HEAD_CHECK_SHIFT - 6)) ^ kind;
}

static always_inline bool mt_head_is(const struct mt_head *head, uint64_t kind)
{
    uint64_t difference = head->info ^ mt_head_check(head->owner, kind);
    return difference >> MT_HEAD_CHECK_SHIFT == 0;
}

/* For index 0 and no bytes; others are added. */
static inline uint64_t mt_head_info(const void *owner, uint64_t kind)
{
    return mt_head_check(owner, kind) >> MT_HEAD_CHECK_SHIFT << MT_HEAD_CHECK_SHIFT;
}

static always_inline struct mt_head *mt_head_of(const void *p)
{
    return (struct mt_head *)p - 1;
}

/* ---- caches and lists -------------------------------------------------------------------- */

#define MT_SUMMARIES 16u /* enough for the smallest buffers in the largest chunk */

/*
 * Under `lock`, but for what never changes. Invariants:
 *   bit w % 64 of summary[w / 64] is set <=> mask[w] != 0
 *   first = the lowest w with mask[w] != 0; or the number of words, when full, and mask[first] == 0
 *   room in it => known
 */
struct mt_cache {
    struct mt_lock lock;
    uint32_t first;
    uint32_t begun;     /* counts of the lock when they were published last */
    char *buffer;       /* the first one; never changes, nor do these: */
    uint64_t head_info; /* of a head with index 0 and no bytes */
    uint32_t stride;    /* from one buffer to the next */
    uint8_t size;       /* buffers have MT_BUFFER_MIN << size bytes */
    bool known;         /* in the list's tree of caches with room, or on the way there; changes */

    uint64_t summary[MT_SUMMARIES] __attribute__((aligned(64)));

    struct mt_list *list;
    uint32_t buffers;           /* how many there are */
    struct mt_cache *next;      /* older one of its list and size */
    struct mt_cache *next_back; /* next on the way to the tree */
    struct mt_node with_room;   /* in the tree; its key numbers the caches in order of creation */
    size_t chunk_size;
    uint64_t mask[] __attribute__((aligned(64))); /* with a word more, always 0 */
};
static_assert(offsetof(struct mt_cache, summary) == 64, "what every call needs: one line");

static always_inline size_t mt_cache_buffer_size(const struct mt_cache *cache)
{
    return cache->stride - sizeof(struct mt_head);
}

static always_inline bool mt_cache_full(const struct mt_cache *cache)
{
    return cache->mask[cache->first] == 0;
}

/* What the caches of one list and size published, and have; under a lock of its own. */
struct mt_totals {
    struct mt_lock lock;
    uint32_t caches;
    uint64_t held_bytes;
    uint64_t buffers;
    uint64_t in_use;
    uint64_t requested;
};

/*
 * Under its parent lock, but for `back` and `totals`. A cache with room is in the tree or in
 * `back`; what is in them may have filled up since, and is then dropped by the next search that
 * meets it.
 */
struct mt_list {
    struct mt_lock parent;
    uint32_t number;
    struct mt_cache *hint[MT_SIZES];           /* where a buffer was found last */
    struct mt_cache *_Atomic newest[MT_SIZES]; /* may be followed without the lock */
    struct mt_node *with_room[MT_SIZES];
    uint64_t created[MT_SIZES];
    /* Pushed by any thread that frees a buffer of a full cache; emptied under the parent lock. */
    struct mt_cache *_Atomic back[MT_SIZES] __attribute__((aligned(CACHE_LINE)));
    struct mt_totals totals[MT_SIZES] __attribute__((aligned(CACHE_LINE)));
} __attribute__((aligned(CACHE_LINE)));

static inline struct mt_cache *mt_list_newest(struct mt_list *list, unsigned size)
{
    /* Acquire: pairs with the release in create_cache(); the cache is seen complete. */
    return atomic_load_explicit(&list->newest[size], memory_order_acquire);
}

/* ---- the heap ---------------------------------------------------------------------------- */

struct mt_heap {
    struct mt_list *_Atomic lists; /* NULL: not there yet */
    uint32_t list_count;           /* a power of two */
    /* What was not counted in a recording; see stats.h */
    struct malloctap_lock_row *rows;
};

extern struct mt_heap mt_heap;

/* Of a heap that is ready; the caches under its parent locks. */
#define MT_FOR_EACH_LIST(list)                                                                     \
    for (struct mt_list *list = mt_heap.lists, *end_ = list + mt_heap.list_count; list < end_;     \
         list++)
#define MT_FOR_EACH_CACHE(cache)                                                                   \
    MT_FOR_EACH_LIST(list_)                                                                        \
    for (unsigned size_ = 0; size_ < MT_SIZES; size_++)                                            \
        for (struct mt_cache *cache = mt_list_newest(list_, size_); cache != NULL;                 \
             cache = cache->next)

/* The list of the calling thread, chosen by its first call. NULL: there is no memory to start with.
 */
struct mt_list *mt_heap_choose_list(void);

/* Bring the heap into being. False: there is no memory. */
bool mt_heap_ready(void);

/* A cache with room, locked, chosen in the order of the list from the hint on; made anew where
 * there is none, or it is locked by this thread already. NULL: there is no memory. Under the parent
 * lock. */
struct mt_cache *mt_heap_find_cache(struct mt_list *list, unsigned size);

/* After a buffer of a full cache was freed; under the cache's lock. */
void mt_heap_cache_has_room(struct mt_cache *cache);

/* After the last free buffer of mask[first] was taken. */
void mt_cache_first_emptied(struct mt_cache *cache);

#endif
