/* SPDX-License-Identifier: MIT */
/* test_shape.c - which list, which cache, which buffer: the design, seen from outside. */
#include "child.h"

#include <heap.h>
#include <mtmalloc_api.h>
#include <os.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHILD_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        assert_child_returns(name);                                                                \
    }

static struct mt_cache *cache_of(const void *p)
{
    CHECK(mt_head_is(mt_head_of(p), MT_HEAD_BUFFER));
    return mt_head_of(p)->owner;
}

/* ---- sizes and heads ------------------------------------------------------------------------ */

static void size_classes(void)
{
    for (size_t request = 1; request <= MT_BUFFER_MAX; request++) {
        size_t buffer = MT_BUFFER_MIN << mt_size_of(request);
        CHECK(buffer >= request && (buffer == MT_BUFFER_MIN || buffer / 2 < request));
    }
    for (size_t request = 1; request <= MT_BUFFER_MAX; request = request * 3 + 1) {
        char *p = mtmalloc_malloc(request);
        CHECK(mt_cache_buffer_size(cache_of(p)) == MT_BUFFER_MIN << mt_size_of(request));
        CHECK(MT_HEAD_REQUESTED(mt_head_of(p)->info) == request);
        CHECK(cache_of(p)->chunk_size == 9 * 8192);
        CHECK((char *)cache_of(p) < p && p < (char *)cache_of(p) + 9 * 8192);
    }
    CHECK(MT_HEAD_REQUESTED(mt_head_of(mtmalloc_malloc(65536))->info) == 65536);
}
CHILD_TEST(size_classes)

/* ---- buffers of a cache --------------------------------------------------------------------- */

static void first_free_buffer_is_first(void)
{
    enum { COUNT = 200 };
    char *p[COUNT];
    for (int i = 0; i < COUNT; i++)
        p[i] = mtmalloc_malloc(64);
    for (int i = 1; i < COUNT; i++)
        CHECK(p[i] == p[i - 1] + 64 + 16);
    static const int freed[] = {150, 7, 64, 128, 63, 199};
    static const int order[] = {7, 63, 64, 128, 150, 199};
    for (int i = 0; i < 6; i++)
        mtmalloc_free(p[freed[i]]);
    for (int i = 0; i < 6; i++)
        CHECK(mtmalloc_malloc(64) == p[order[i]]);
    CHECK(mtmalloc_malloc(64) == p[COUNT - 1] + 80);
}
CHILD_TEST(first_free_buffer_is_first)

static uint32_t in_use(const struct mt_cache *cache)
{
    uint32_t free = 0;
    for (uint32_t w = 0; w * 64 < cache->buffers; w++)
        free += (uint32_t)__builtin_popcountll(cache->mask[w]);
    return cache->buffers - free;
}

/* Fills the cache at the hint; returns its first buffer. */
static void *fill_cache(size_t request)
{
    void *first = mtmalloc_malloc(request);
    struct mt_cache *cache = cache_of(first);
    CHECK(in_use(cache) == 1);
    for (uint32_t i = 1; i < cache->buffers; i++)
        CHECK(cache_of(mtmalloc_malloc(request)) == cache);
    return first;
}

static void caches_are_searched_from_the_hint(void)
{
    enum { CACHES = 6 };
    void *first[CACHES];
    for (int i = 0; i < CACHES; i++)
        first[i] = fill_cache(4096);
    struct mt_list *list = cache_of(first[0])->list;
    unsigned size = mt_size_of(4096);
    /* The newest is at the front. */
    struct mt_cache *cache = list->newest[size];
    for (int i = CACHES - 1; i >= 0; i--, cache = cache->next)
        CHECK(cache == cache_of(first[i]));
    CHECK(cache == NULL);

    /* From the hint, the newest: towards older ones. */
    mtmalloc_free(first[1]);
    mtmalloc_free(first[4]);
    mtmalloc_free(first[2]);
    CHECK(mtmalloc_malloc(4096) == first[4]);
    CHECK(mtmalloc_malloc(4096) == first[2]);
    /* From there, with room in front and behind. */
    mtmalloc_free(first[5]);
    mtmalloc_free(first[0]);
    CHECK(mtmalloc_malloc(4096) == first[1]);
    CHECK(mtmalloc_malloc(4096) == first[0]);
    /* Around the end. */
    CHECK(mtmalloc_malloc(4096) == first[5]);
    /* The hint stays on a cache as long as that has room. */
    mtmalloc_free(first[3]);
    mtmalloc_free(first[5]);
    CHECK(mtmalloc_malloc(4096) == first[5]);
    CHECK(mtmalloc_malloc(4096) == first[3]);
    CHECK(list->newest[size] == cache_of(first[5]));
    CHECK(list->newest[size] != cache_of(mtmalloc_malloc(4096)) ||
          list->created[size] == CACHES + 1);
}
CHILD_TEST(caches_are_searched_from_the_hint)

static void invariants_of(const struct mt_cache *cache)
{
    uint32_t words = (cache->buffers + 63) / 64, free = 0, first = words;
    for (uint32_t w = 0; w < words; w++) {
        free += (uint32_t)__builtin_popcountll(cache->mask[w]);
        CHECK((cache->mask[w] != 0) == (cache->summary[w / 64] >> w % 64 & 1));
        if (cache->mask[w] != 0 && first == words)
            first = w;
    }
    CHECK(cache->mask[words] == 0 && cache->first == first);
    CHECK(free == 0 || cache->known);
    char *end = cache->buffer + (size_t)(cache->buffers - 1) * cache->stride + cache->stride - 16;
    char *chunk = (char *)((uintptr_t)cache & ~(uintptr_t)4095);
    CHECK(end <= chunk + cache->chunk_size);
    CHECK((char *)&cache->mask[words + 1] + 16 <= cache->buffer);
}

static void masks_hold_together(void)
{
    enum { LIVE = 5000 };
    static void *live[LIVE];
    static const char *const chunks[] = {"9", "256", "33"};
    srand(2);
    for (int step = 0; step < 60000; step++) {
        if (step % 20000 == 0)
            CHECK(mtmalloc_option("chunk", chunks[step / 20000]) == 0);
        int i = rand() % LIVE;
        mtmalloc_free(live[i]);
        live[i] = rand() % 3 == 0 ? NULL : mtmalloc_malloc((size_t)(16 << rand() % 13));
        if (live[i] != NULL && step % 16 == 0)
            invariants_of(cache_of(live[i]));
    }
    for (uint32_t l = 0; l < mt_heap.list_count; l++)
        for (unsigned size = 0; size < MT_SIZES; size++)
            for (struct mt_cache *cache = mt_heap.lists[l].newest[size]; cache != NULL;
                 cache = cache->next)
                invariants_of(cache);
}
CHILD_TEST(masks_hold_together)

/* ---- threads -------------------------------------------------------------------------------- */

static void *allocate(void *size)
{
    return mtmalloc_malloc((size_t)size);
}

static void *in_thread(void *(*run)(void *), void *argument)
{
    pthread_t id;
    void *result;
    CHECK(pthread_create(&id, NULL, run, argument) == 0);
    pthread_join(id, &result);
    return result;
}

static void threads_have_lists(void)
{
    unsigned processors = mt_os_processors();
    uint32_t count = 2 * processors;
    while ((count & (count - 1)) != 0)
        count++;
    struct mt_list *mine = cache_of(mtmalloc_malloc(1))->list;
    CHECK(mt_heap.list_count == count && mine->number == 0);
    CHECK(processors == (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    for (uint32_t i = 1; i < count + 3; i++) {
        void *p = in_thread(allocate, (void *)64);
        CHECK(cache_of(p)->list == &mt_heap.lists[i % count]);
        mtmalloc_free(p); /* back to the cache it came from, not to this thread's */
        CHECK(in_use(cache_of(p)) == 0);
    }
    CHECK((uintptr_t)mt_heap.lists % CACHE_LINE == 0 && sizeof(struct mt_list) % CACHE_LINE == 0);
}
CHILD_TEST(threads_have_lists)

/* ---- oversize ------------------------------------------------------------------------------- */

static void oversize_blocks_are_reused(void)
{
    enum { COUNT = 16, EACH = 200000 };
    char *p[COUNT];
    for (int i = 0; i < COUNT; i++)
        p[i] = mtmalloc_malloc(EACH);
    CHECK(mt_head_is(mt_head_of(p[0]), MT_HEAD_OVERSIZE));
    /* Best fit. */
    mtmalloc_free(p[3]);
    mtmalloc_free(p[8]);
    mtmalloc_free(p[9]);
    CHECK(mtmalloc_malloc(EACH) == p[3]);
    /* Coalesced, in whatever order. */
    char *both = mtmalloc_malloc(2 * EACH);
    CHECK(both == (p[8] < p[9] ? p[8] : p[9]));
    /* Split: the rest is oversize by itself. */
    mtmalloc_free(both);
    char *part = mtmalloc_malloc(70000), *other = mtmalloc_malloc(70000);
    CHECK(part == both && other > part && other < both + 2 * EACH);
    CHECK(mtmalloc_usable_size(part) < 70000 + 64);
    for (int i = 0; i < COUNT; i++)
        if (i != 8 && i != 9)
            mtmalloc_free(p[i]);
    mtmalloc_free(part);
    mtmalloc_free(other);
    /* All of it is one block again. */
    char *all = mtmalloc_malloc(COUNT * EACH);
    CHECK(all <= p[COUNT - 1] && all + COUNT * EACH > p[0]);
}
CHILD_TEST(oversize_blocks_are_reused)

static void oversize_rest_too_small_to_split(void)
{
    char *p = mtmalloc_malloc(150000);
    mtmalloc_free(p);
    CHECK(mtmalloc_malloc(100000) == p);
    CHECK(mtmalloc_usable_size(p) >= 150000);
}
CHILD_TEST(oversize_rest_too_small_to_split)

static void alignment_gives_back_what_is_in_front(void)
{
    struct malloctap_lock_row row[64];
    char *p = mtmalloc_memalign(64 << 20, 100000);
    CHECK((uintptr_t)p % (64 << 20) == 0);
    size_t rows = mtmalloc_stats_snapshot(row, 64);
    for (size_t i = 0; i < rows; i++)
        if (row[i].kind == MALLOCTAP_LOCK_OVERSIZE)
            CHECK(row[i].in_use == 1 && row[i].in_use_bytes < 200000 && row[i].buffers >= 2);
    mtmalloc_free(p);
    char *again = mtmalloc_malloc(50 << 20);
    CHECK(again < p + (64 << 20) && again + (64 << 20) > p - (64 << 20));
}
CHILD_TEST(alignment_gives_back_what_is_in_front)

static uint64_t free_oversize_blocks(void)
{
    static struct malloctap_lock_row rows[10000];
    size_t count = mtmalloc_stats_snapshot(rows, 10000);
    for (size_t i = 0; i < count; i++)
        if (rows[i].kind == MALLOCTAP_LOCK_OVERSIZE)
            return rows[i].buffers - rows[i].in_use;
    return 0;
}

/* What aligned blocks leave free behind one and in front of the next is one block, where the system
 * put them side by side; and it is still known, rightly, to be zero. */
static void fresh_neighbours_become_one(void)
{
    enum { ALIGNMENT = 8 << 20, SIZE = 100000, COUNT = 8 };
    char *p[COUNT];
    for (int i = 0; i < COUNT; i++)
        p[i] = mtmalloc_memalign(ALIGNMENT, SIZE);
    CHECK(free_oversize_blocks() <= COUNT + 3);
    for (int i = 0; i < 5 * COUNT; i++) {
        uint64_t *zero = mtmalloc_calloc(1, 1000000);
        for (size_t at = 0; at < 1000000 / sizeof *zero; at++)
            CHECK(zero[at] == 0);
    }
    for (int i = 0; i < COUNT; i++)
        mtmalloc_free(p[i]);
}
CHILD_TEST(fresh_neighbours_become_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_classes),
        cmocka_unit_test(test_first_free_buffer_is_first),
        cmocka_unit_test(test_caches_are_searched_from_the_hint),
        cmocka_unit_test(test_masks_hold_together),
        cmocka_unit_test(test_threads_have_lists),
        cmocka_unit_test(test_oversize_blocks_are_reused),
        cmocka_unit_test(test_oversize_rest_too_small_to_split),
        cmocka_unit_test(test_alignment_gives_back_what_is_in_front),
        cmocka_unit_test(test_fresh_neighbours_become_one),
    };
    return cmocka_run_group_tests_name("mtmalloc-shape", tests, NULL, NULL);
}
