/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <mtmalloc_api.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool aligned(const void *p, size_t alignment)
{
    return (uintptr_t)p % alignment == 0;
}

static size_t rounded_up(size_t size)
{
    size_t buffer = 16;
    while (buffer < size)
        buffer *= 2;
    return buffer;
}

static void sizes(void)
{
    for (size_t size = 0; size <= 70000; size += size < 600 ? 1 : 97) {
        errno = 42;
        char *p = mtmalloc_malloc(size);
        CHECK(p != NULL && aligned(p, 16) && errno == 42);
        CHECK(mtmalloc_owns(p));
        size_t usable = mtmalloc_usable_size(p);
        if (size <= 65536)
            CHECK(usable == rounded_up(size));
        else
            CHECK(usable >= size && usable < size + 65536 + 256);
        memset(p, 0x5a, usable);
        mtmalloc_free(p);
        CHECK(errno == 42);
    }
    for (size_t size = 100000; size < (size_t)1 << 32; size *= 3) {
        char *p = mtmalloc_malloc(size);
        CHECK(p != NULL && mtmalloc_usable_size(p) >= size);
        p[0] = p[size - 1] = 1;
        mtmalloc_free_sized(p, size);
    }
    mtmalloc_free(NULL);
    CHECK(mtmalloc_usable_size(NULL) == 0);
}

static void zeroed(void)
{
    /* Twice: fresh from the system, then used before. */
    for (int round = 0; round < 2; round++)
        for (size_t size = 1; size < 3 << 20; size = size * 3 + 1) {
            char *p = mtmalloc_calloc(size, 1);
            for (size_t i = 0; i < size; i++)
                CHECK(p[i] == 0);
            memset(p, 1, mtmalloc_usable_size(p));
            mtmalloc_free(p);
        }
    errno = 0;
    CHECK(mtmalloc_calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    CHECK(mtmalloc_calloc(0, 5) != NULL && mtmalloc_calloc(5, 0) != NULL);
}

static void impossible_sizes(void)
{
    static const size_t sizes_never[] = {SIZE_MAX, SIZE_MAX - 4096, PTRDIFF_MAX, (size_t)1 << 47};
    void *kept = mtmalloc_malloc(100), *unset = &unset;
    for (size_t i = 0; i < sizeof sizes_never / sizeof *sizes_never; i++) {
        size_t size = sizes_never[i];
        errno = 0;
        CHECK(mtmalloc_malloc(size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(mtmalloc_realloc(kept, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(mtmalloc_memalign(64, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(mtmalloc_pvalloc(size) == NULL && errno == ENOMEM);
        errno = 7;
        CHECK(mtmalloc_posix_memalign(&unset, 64, size) == ENOMEM && errno == 7);
        CHECK(unset == &unset);
    }
    errno = 0;
    CHECK(mtmalloc_reallocarray(kept, SIZE_MAX / 4, 8) == NULL && errno == ENOMEM);
    errno = 0; /* it could be, were there more memory */
    CHECK(mtmalloc_malloc((size_t)1 << 46) == NULL && errno == EAGAIN);
    mtmalloc_free(kept);
}

static void alignments(void)
{
    for (size_t alignment = 1; alignment <= 4 << 20; alignment *= 2)
        for (size_t size = 1; size < 300000; size = size * 5 + 3) {
            char *p = mtmalloc_memalign(alignment, size);
            CHECK(p != NULL && aligned(p, alignment) && aligned(p, 16));
            size_t usable = mtmalloc_usable_size(p);
            CHECK(usable >= size);
            memset(p, 0x33, usable);
            char *q = mtmalloc_aligned_alloc(alignment, size);
            CHECK(q != NULL && aligned(q, alignment));
            memset(q, 0x44, mtmalloc_usable_size(q));
            for (size_t i = 0; i < usable; i++)
                CHECK(p[i] == 0x33);
            mtmalloc_free(p);
            mtmalloc_free_aligned_sized(q, alignment, size);
        }
    void *p = mtmalloc_valloc(1);
    CHECK(aligned(p, (size_t)sysconf(_SC_PAGESIZE)));
    p = mtmalloc_pvalloc(1);
    CHECK(aligned(p, 4096) && mtmalloc_usable_size(p) >= 4096);
    CHECK(mtmalloc_usable_size(mtmalloc_pvalloc(0)) >= 4096);
}

static void alignment_errors(void)
{
    void *p = NULL;
    errno = 0;
    CHECK(mtmalloc_memalign(24, 8) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(mtmalloc_memalign(0, 8) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(mtmalloc_memalign(64, 0) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(mtmalloc_valloc(0) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(mtmalloc_aligned_alloc(48, 96) == NULL && errno == EINVAL);
    CHECK(mtmalloc_aligned_alloc(64, 0) != NULL);
    errno = 7;
    CHECK(mtmalloc_posix_memalign(&p, 4, 8) == EINVAL && p == NULL);
    CHECK(mtmalloc_posix_memalign(&p, 24, 8) == EINVAL && p == NULL);
    CHECK(mtmalloc_posix_memalign(&p, 8, 0) == 0 && p != NULL);
    CHECK(mtmalloc_posix_memalign(&p, 4096, 100) == 0 && aligned(p, 4096));
    CHECK(errno == 7);
    errno = 0; /* as large an alignment as there is */
    CHECK(mtmalloc_memalign((size_t)1 << 63, 8) == NULL && errno == ENOMEM);
}

static void reallocs(void)
{
    char *p = mtmalloc_realloc(NULL, 20);
    CHECK(p != NULL);
    memset(p, 7, 20);
    CHECK(mtmalloc_realloc(p, 32) == p); /* the buffer has 32 bytes */
    CHECK(mtmalloc_realloc(p, 1) == p);
    for (size_t size = 33; size < 1 << 20; size = size * 2 + 1) {
        p = mtmalloc_realloc(p, size);
        CHECK(p != NULL && mtmalloc_usable_size(p) >= size);
        for (int i = 0; i < 20; i++)
            CHECK(p[i] == 7);
    }
    /* An oversize block that shrinks stays, and gives back what is oversize by itself. */
    size_t before = mtmalloc_usable_size(p);
    CHECK(mtmalloc_realloc(p, 70000) == p && mtmalloc_usable_size(p) < before);
    CHECK(mtmalloc_realloc(p, 5) == p && mtmalloc_usable_size(p) > 65536);
    errno = 3;
    CHECK(mtmalloc_realloc(p, 0) == NULL && errno == 3);

    /* From an aligned block, small and oversize. */
    for (size_t size = 100; size <= 100000; size *= 1000) {
        p = mtmalloc_memalign(1024, size);
        memset(p, 9, size);
        p = mtmalloc_reallocarray(p, size, 3);
        for (size_t i = 0; i < size; i++)
            CHECK(p[i] == 9);
        mtmalloc_free(p);
    }
}

static void foreign_pointers(void)
{
    static int of_ours;
    int on_stack;
    CHECK(!mtmalloc_owns(NULL) && !mtmalloc_owns(&of_ours) && !mtmalloc_owns(&on_stack));
    char *p = mtmalloc_malloc(100), *q = mtmalloc_malloc(50 << 20);
    CHECK(mtmalloc_owns(p) && mtmalloc_owns(p + 99));
    CHECK(mtmalloc_owns(q) && mtmalloc_owns(q + (50 << 20) - 1));
    CHECK(!mtmalloc_owns(&of_ours) && !mtmalloc_owns(&on_stack) && !mtmalloc_owns(NULL));
    for (int bit = 0; bit < 64; bit++) {
        CHECK(!mtmalloc_owns((void *)(UINT64_MAX << bit)));
        (void)mtmalloc_owns((void *)(UINT64_C(1) << bit)); /* no fault */
    }
    mtmalloc_free(q);
    CHECK(mtmalloc_owns(q)); /* never given back */
}

#define CHILD_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        assert_child_returns(name);                                                                \
    }
CHILD_TEST(sizes)
CHILD_TEST(zeroed)
CHILD_TEST(impossible_sizes)
CHILD_TEST(alignments)
CHILD_TEST(alignment_errors)
CHILD_TEST(reallocs)
CHILD_TEST(foreign_pointers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_alignments),
        cmocka_unit_test(test_alignment_errors),
        cmocka_unit_test(test_reallocs),
        cmocka_unit_test(test_foreign_pointers),
    };
    return cmocka_run_group_tests_name("mtmalloc-entries", tests, NULL, NULL);
}
