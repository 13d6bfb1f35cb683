/* SPDX-License-Identifier: MIT */
/* test_failure.c - the system has no more memory, from any call on. Links with --wrap=mt_os_map. */
#include "child.h"

#include <mtmalloc_api.h>
#include <os.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void *__real_mt_os_map(size_t size);
void *__wrap_mt_os_map(size_t size);

static long maps_left = -1; /* -1: without limit */
static size_t largest_map = SIZE_MAX;

void *__wrap_mt_os_map(size_t size)
{
    if (maps_left == 0 || size > largest_map)
        return NULL;
    if (maps_left > 0)
        maps_left--;
    return __real_mt_os_map(size);
}

static void check_failed(const void *p)
{
    CHECK(p != NULL || errno == EAGAIN);
    errno = 42;
}

static long allowed; /* mappings before they fail */

/* Goes on until nothing can be had, then frees, and has it again. */
static void every_entry(void)
{
    enum { BLOCKS = 20000 };
    static void *blocks[BLOCKS];
    maps_left = allowed;
    errno = 42;
    size_t got = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = (size_t)(i % 7 == 0 ? 100000 + i : 16 << i % 13);
        void *p = NULL;
        switch (i % 5) {
        case 0:
            check_failed(p = mtmalloc_malloc(size));
            break;
        case 1:
            check_failed(p = mtmalloc_calloc(1, size));
            break;
        case 2:
            check_failed(p = mtmalloc_memalign(4096, size));
            break;
        case 3:
            CHECK(mtmalloc_posix_memalign(&p, 64, size) == (p != NULL ? 0 : ENOMEM));
            CHECK(errno == 42);
            break;
        case 4:
            check_failed(p = mtmalloc_realloc(NULL, size));
            break;
        }
        if (p == NULL)
            continue;
        memset(p, 0x77, size < 100 ? size : 100);
        blocks[got++] = p;
    }
    CHECK(got < BLOCKS);

    /* A failed realloc leaves the block as it was. */
    for (size_t i = 0; i < got; i++) {
        char *p = blocks[i];
        errno = 0;
        if (mtmalloc_realloc(p, (size_t)1 << 40) == NULL) {
            CHECK(errno == EAGAIN && p[0] == 0x77 && p[15] == 0x77);
        } else {
            CHECK(0);
        }
    }
    for (size_t i = 0; i < got; i++)
        mtmalloc_free(blocks[i]);
    if (got > 0) { /* what was freed can be had without the system */
        maps_left = 0;
        size_t again = 0;
        for (int i = 0; i < BLOCKS; i += 7)
            again += mtmalloc_malloc(16) != NULL;
        CHECK(allowed < 3 || again > 0);
    }
    maps_left = -1;
    for (int i = 0; i < 1000; i++) {
        char *p = mtmalloc_malloc((size_t)i * 300);
        CHECK(p != NULL);
        memset(p, 1, (size_t)i * 300);
        mtmalloc_free(p);
    }
}

static void test_every_point(void **state)
{
    for (allowed = 0; allowed < 40; allowed++)
        assert_child_returns(every_entry);
}

static void from_the_start(void)
{
    struct malloctap_lock_row row;
    maps_left = 0;
    for (int i = 0; i < 3; i++) {
        errno = 0;
        CHECK(mtmalloc_malloc(1) == NULL && errno == EAGAIN);
        errno = 0;
        CHECK(mtmalloc_malloc(1 << 20) == NULL && errno == EAGAIN);
        errno = 0;
        CHECK(mtmalloc_memalign(4096, 1 << 20) == NULL && errno == EAGAIN);
    }
    CHECK(mtmalloc_stats_rows() == 0 && mtmalloc_stats_snapshot(&row, 1) == 0);
    mtmalloc_fork_prepare();
    mtmalloc_fork_parent();
    mtmalloc_fork_prepare();
    mtmalloc_fork_child();
    CHECK(!mtmalloc_owns(&row));
    maps_left = -1;
    CHECK(mtmalloc_malloc(1) != NULL && mtmalloc_stats_rows() > 0);
}

static void test_from_the_start(void **state)
{
    assert_child_returns(from_the_start);
}

/* A batch is too much, a chunk is not. */
static void batches_refused(void)
{
    CHECK(mtmalloc_malloc(1) != NULL);
    largest_map = 300000;
    for (int i = 0; i < 10000; i++)
        CHECK(mtmalloc_malloc(1000) != NULL && mtmalloc_malloc(100000) != NULL);
    CHECK(mtmalloc_malloc(10000000) == NULL && errno == EAGAIN);
    CHECK(!mtmalloc_owns((void *)8192));
}

static void test_batches_refused(void **state)
{
    assert_child_returns(batches_refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_point),
        cmocka_unit_test(test_from_the_start),
        cmocka_unit_test(test_batches_refused),
    };
    return cmocka_run_group_tests_name("mtmalloc-failure", tests, NULL, NULL);
}
