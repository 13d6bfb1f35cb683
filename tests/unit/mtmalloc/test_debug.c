/* SPDX-License-Identifier: MIT */
/* test_debug.c - mallocctl(), options by name, and misuse that must not go unnoticed. */
#include "child.h"

#include <mtmalloc_api.h>

#include <malloctap/mtmalloc.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What the children get: the test goes through them one by one. */
static size_t size, offset;

#define OVERSIZE 200000

static const size_t sizes[] = {1,    32,   64,    128,   256,   512,      1024,   2048,
                               4096, 8192, 16384, 32768, 65536, OVERSIZE, 5000000};
#define FOR_EACH_SIZE                                                                              \
    for (size_t i_ = 0; i_ < sizeof sizes / sizeof *sizes && (size = sizes[i_], true); i_++)

/* ---- double free ---------------------------------------------------------------------------- */

static void free_twice(void)
{
    void *p = mtmalloc_malloc(size);
    mtmalloc_free(p);
    mtmalloc_free(p);
}

static void free_twice_aligned(void)
{
    void *p = mtmalloc_memalign(4096, size);
    mtmalloc_free(p);
    mtmalloc_free(p);
}

/* The second free comes when the block has become part of the free one in front or behind. */
static void free_twice_coalesced(void)
{
    void *blocks[3];
    for (int i = 0; i < 3; i++)
        blocks[i] = mtmalloc_malloc(OVERSIZE);
    for (int i = 0; i < 3; i++)
        mtmalloc_free(blocks[i]);
    mtmalloc_free(blocks[offset]);
}

static void free_twice_coalesced_and_filled(void)
{
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    free_twice_coalesced();
}

static void free_twice_by_realloc(void)
{
    void *p = mtmalloc_malloc(size);
    mtmalloc_free(p);
    (void)mtmalloc_realloc(p, 0);
}

static void free_inside(void)
{
    char *p = mtmalloc_malloc(size);
    memset(p, 0, size);
    mtmalloc_free(p + 16);
}

static void overrun(void)
{
    char *p = mtmalloc_malloc(64), *q = mtmalloc_malloc(64);
    char *first = p < q ? p : q;
    memset(first, 0x41, 64 + 16);
    mtmalloc_free(p);
    mtmalloc_free(q);
}

static void test_double_free(void **state)
{
    FOR_EACH_SIZE
    {
        assert_child_aborts(free_twice, "mtmalloc: double free of 0x");
        assert_child_aborts(free_twice_aligned, "mtmalloc: double free of 0x");
        assert_child_aborts(free_twice_by_realloc, "mtmalloc: double free of 0x");
    }
    for (offset = 0; offset < 3; offset++) {
        assert_child_aborts(free_twice_coalesced, "double free");
        assert_child_aborts(free_twice_coalesced_and_filled, "double free");
    }
}

static void test_no_block(void **state)
{
    size = 1000;
    assert_child_aborts(free_inside, "is not an allocated block");
    size = OVERSIZE;
    assert_child_aborts(free_inside, "is not an allocated block");
    assert_child_aborts(overrun, "overwritten");
}

static void ignored(void)
{
    mtmalloc_mallocctl(MTDOUBLEFREE, 1);
    void *p = mtmalloc_malloc(size), *aligned = mtmalloc_memalign(256, size);
    for (int i = 0; i < 3; i++) {
        mtmalloc_free(p);
        mtmalloc_free(aligned);
    }
    /* Nothing is handed out twice. */
    char *one = mtmalloc_malloc(size), *other = mtmalloc_malloc(size);
    CHECK(one + size <= other || other + size <= one);
    free_twice_coalesced();
    free_twice_coalesced_and_filled();
    mtmalloc_mallocctl(MTDOUBLEFREE, 0);
    mtmalloc_mallocctl(MTDEBUGPATTERN, 0);
    free_twice();
}

static void test_double_free_ignored(void **state)
{
    offset = 1;
    FOR_EACH_SIZE
    {
        assert_child_aborts(ignored, "double free");
    }
}

/* ---- patterns ------------------------------------------------------------------------------- */

static void freed_pattern(void)
{
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    uint32_t *p = mtmalloc_malloc(size);
    size_t words = mtmalloc_usable_size(p) / sizeof *p;
    memset(p, 1, size);
    mtmalloc_free(p);
    for (size_t i = 0; i < words; i++)
        CHECK(p[i] == 0xdeadbeef);
    for (int i = 0; i < 10; i++)
        mtmalloc_free(mtmalloc_malloc(size));
}

static void write_after_free(void)
{
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    char *p = mtmalloc_malloc(size);
    size_t usable = mtmalloc_usable_size(p);
    mtmalloc_free(p);
    p[offset < usable ? offset : usable - 1] = 1;
    for (int i = 0; i < 3; i++)
        (void)mtmalloc_malloc(size);
}

/* Into the middle of free memory that was several blocks. */
static void write_after_coalescing(void)
{
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    char *p[4];
    for (int i = 0; i < 4; i++)
        p[i] = mtmalloc_malloc(OVERSIZE);
    for (int i = 0; i < 4; i++)
        mtmalloc_free(p[i]);
    p[2][offset] = 1;
    (void)mtmalloc_malloc(4 * OVERSIZE);
}

static void write_to_trimmed(void)
{
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    char *p = mtmalloc_malloc(10 * OVERSIZE);
    CHECK(mtmalloc_realloc(p, OVERSIZE) == p);
    p[5 * OVERSIZE] = 1;
    (void)mtmalloc_malloc(8 * OVERSIZE);
}

/* Where the struct of the rest will be, when the block is split. */
static void write_where_it_is_split(void)
{
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    char *p = mtmalloc_malloc(10 * OVERSIZE);
    mtmalloc_free(p);
    p[OVERSIZE + offset] = 1;
    (void)mtmalloc_malloc(OVERSIZE);
}

/* Next to memory that was freed without a pattern. */
static void write_beside_unpatterned(void)
{
    char *p[3];
    for (int i = 0; i < 3; i++)
        p[i] = mtmalloc_malloc(OVERSIZE);
    mtmalloc_free(p[0]);
    mtmalloc_free(p[2]);
    mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
    mtmalloc_free(p[1]);
    p[1][offset] = 1;
    (void)mtmalloc_malloc(3 * OVERSIZE);
}

static void new_pattern(void)
{
    mtmalloc_mallocctl(MTINITBUFFER, 1);
    for (int round = 0; round < 2; round++) {
        uint32_t *p = mtmalloc_malloc(size), *zero = mtmalloc_calloc(1, size);
        CHECK(((char *)zero)[0] == 0 && ((char *)zero)[size - 1] == 0);
        for (size_t i = 0; i < mtmalloc_usable_size(p) / sizeof *p; i++)
            CHECK(p[i] == 0xbaddcafe);
        memset(p, 1, size);
        mtmalloc_free(p);
        mtmalloc_free(zero);
    }
}

/* What was freed without a pattern is not checked, and what is freed without is not believed. */
static void switched_on_and_off(void)
{
    for (int round = 0; round < 3; round++) {
        void *p = mtmalloc_malloc(size), *q = mtmalloc_malloc(size);
        memset(p, round, size);
        memset(q, round, size);
        mtmalloc_free(p);
        mtmalloc_mallocctl(MTDEBUGPATTERN, 1);
        mtmalloc_free(q);
        p = mtmalloc_malloc(2 * size);
        memset(p, 9, 2 * size);
        mtmalloc_free(p);
        mtmalloc_mallocctl(MTDEBUGPATTERN, 0);
    }
}

static void test_patterns(void **state)
{
    FOR_EACH_SIZE
    {
        assert_child_returns(freed_pattern);
        assert_child_returns(new_pattern);
        assert_child_returns(switched_on_and_off);
        for (offset = 0; offset < 1 << 23; offset = offset * 9 + 7)
            assert_child_aborts(write_after_free, "was written to after it was freed");
    }
    for (offset = 0; offset < OVERSIZE; offset += 9999)
        assert_child_aborts(write_after_coalescing, "was written to after it was freed");
    for (offset = 0; offset < 128; offset += 9)
        assert_child_aborts(write_where_it_is_split, "was written to after it was freed");
    for (offset = 0; offset < OVERSIZE; offset += 50000)
        assert_child_aborts(write_beside_unpatterned, "was written to after it was freed");
    assert_child_aborts(write_to_trimmed, "was written to after it was freed");
}

/* ---- options -------------------------------------------------------------------------------- */

/* Bytes of the chunk that a new cache takes: the first buffers of two in a row. */
static size_t chunk_bytes(void)
{
    struct malloctap_lock_row before[64], after[64];
    size_t old = mtmalloc_stats_snapshot(before, 64), held = 0;
    static size_t next_size = 16;
    (void)mtmalloc_malloc(next_size *= 2);
    size_t new = mtmalloc_stats_snapshot(after, 64);
    for (size_t i = 0; i < new; i++)
        if (after[i].kind == MALLOCTAP_LOCK_CACHE)
            held += after[i].held_bytes;
    for (size_t i = 0; i < old; i++)
        if (before[i].kind == MALLOCTAP_LOCK_CACHE)
            held -= before[i].held_bytes;
    return held;
}

static void chunk_sizes(void)
{
    CHECK(chunk_bytes() == 9 * 8192);
    static const long bad[] = {-1, 0, 8, 257, 65536};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mtmalloc_mallocctl(MTCHUNKSIZE, bad[i]);
        CHECK(chunk_bytes() == 9 * 8192);
    }
    mtmalloc_mallocctl(MTCHUNKSIZE, 256);
    CHECK(chunk_bytes() == 256 * 8192);
    CHECK(mtmalloc_option("chunk", "10") == 0);
    CHECK(chunk_bytes() == 10 * 8192);
    mtmalloc_mallocctl(12345, 1); /* no such command */
    CHECK(chunk_bytes() == 10 * 8192);
}

static void all_buffers_of_large_chunks(void)
{
    mtmalloc_mallocctl(MTCHUNKSIZE, 256);
    for (size_t bytes = 16; bytes <= 65536; bytes *= 2) {
        size_t count = 2 * (2 << 20) / (bytes + 16);
        char **all = mtmalloc_malloc(count * sizeof *all);
        for (size_t i = 0; i < count; i++) {
            all[i] = mtmalloc_malloc(bytes);
            memset(all[i], (int)i, bytes);
        }
        for (size_t i = 0; i < count; i++) {
            CHECK(all[i][0] == (char)i && all[i][bytes - 1] == (char)i);
            mtmalloc_free(all[i]);
        }
        mtmalloc_free(all);
    }
}

static void option_names(void)
{
    static const char *const bad[][2] = {
        {"chunk", "8"},
        {"chunk", "257"},
        {"chunk", ""},
        {"chunk", "9x"},
        {"chunk", "-9"},
        {"doublefree", "2"},
        {"initbuffer", ""},
        {"debugpattern", "yes"},
        {"", "1"},
        {"nosuch", "1"},
        {"Chunk", "9"},
        {"chunk", "99999999999999999999999999999"},
        {"doublefree", "18446744073709551617"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(mtmalloc_option(bad[i][0], bad[i][1]) == -1);
    CHECK(mtmalloc_option("doublefree", "1") == 0);
    size = 100;
    free_twice();
    CHECK(mtmalloc_option("doublefree", "0") == 0);
    CHECK(mtmalloc_option("initbuffer", "1") == 0);
    uint32_t *p = mtmalloc_malloc(100);
    CHECK(*p == 0xbaddcafe);
    CHECK(mtmalloc_option("debugpattern", "1") == 0);
    mtmalloc_free(p);
    CHECK(*p == 0xdeadbeef);
}

static void test_options(void **state)
{
    assert_child_returns(chunk_sizes);
    assert_child_returns(all_buffers_of_large_chunks);
    assert_child_returns(option_names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double_free),
        cmocka_unit_test(test_no_block),
        cmocka_unit_test(test_double_free_ignored),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests_name("mtmalloc-debug", tests, NULL, NULL);
}
