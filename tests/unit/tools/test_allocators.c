/* SPDX-License-Identifier: MIT */
/* Where allocators are looked for. OWN_MALLOC is a library built beside this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <allocators.h>
#include <library_search.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char found[PATH_MAX];

static void names(void **state)
{
    char all[512];
    assert_true(allocator_known("jemalloc"));
    assert_false(allocator_known("own"));
    assert_string_equal(allocator_of_library("libjemalloc.so.2"), "jemalloc");
    assert_string_equal(allocator_of_library("libtcmalloc_minimal.so.4"), "tcmalloc_minimal");
    assert_null(allocator_of_library("libtcmalloc_debug.so.4"));
    assert_null(allocator_of_library("libc.so.6"));
    allocators_all(all, sizeof all);
    assert_non_null(strstr(all, "jemalloc, tcmalloc, tcmalloc_minimal, mimalloc, snmalloc, hoard"));
    assert_non_null(allocator_package("jemalloc"));
    assert_null(allocator_package("hoard"));
}

static void library_path_comes_first(void **state)
{
    char list[3 * PATH_MAX];
    const char *library = folder_copy("libhoard.so", OWN_MALLOC, 0644);
    snprintf(list, sizeof list, "/nonexistent:%s", folder);
    setenv("LD_LIBRARY_PATH", list, 1);
    assert_true(allocator_find("hoard", found, sizeof found));
    assert_string_equal(found, library);
    allocators_installed(found, sizeof found);
    assert_non_null(strstr(found, "hoard"));
    folder_write("libhoard.so", "no library", 0644);
    assert_false(allocator_find("hoard", found, sizeof found));
    unsetenv("LD_LIBRARY_PATH");
}

static void libc_is_found(void **state)
{
    assert_true(library_search("libc.so.6", found, sizeof found));
    assert_false(library_search("libno-such-library.so*", found, sizeof found));
}

/* ---- the loader's cache --------------------------------------------------------------------- */

enum { HEAD = 48, ENTRY = 24 };

/* One entry, with what an old ldconfig puts in front. */
static size_t cache_build(char *cache, const char *name, const char *path, size_t in_front)
{
    char *at = cache + in_front;
    uint32_t entries = 1, key = HEAD + ENTRY, value = key + (uint32_t)strlen(name) + 1;
    memset(cache, 'x', in_front);
    memset(at, 0, HEAD + ENTRY);
    memcpy(at, "glibc-ld.so.cache1.1", 20);
    memcpy(at + 20, &entries, sizeof entries);
    memcpy(at + HEAD + 4, &key, sizeof key);
    memcpy(at + HEAD + 8, &value, sizeof value);
    strcpy(at + key, name);
    strcpy(at + value, path);
    return in_front + value + strlen(path) + 1;
}

static bool cache_finds(const char *cache, size_t length, const char *pattern)
{
    const char *path = folder_path("cache");
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(cache, 1, length, file), length);
    fclose(file);
    return library_search_cache(path, pattern, found, sizeof found);
}

static void cache_is_searched(void **state)
{
    char cache[2 * PATH_MAX];
    for (size_t in_front = 0; in_front <= 64; in_front += 32) {
        size_t length = cache_build(cache, "libfast.so.3", OWN_MALLOC, in_front);
        assert_true(cache_finds(cache, length, "libfast.so.[0-9]*"));
        assert_string_equal(found, OWN_MALLOC);
        assert_false(cache_finds(cache, length, "libslow.so.[0-9]*"));
    }
    assert_false(library_search_cache("/nonexistent", "libfast*", found, sizeof found));
}

static void damaged_caches_find_nothing(void **state)
{
    char cache[2 * PATH_MAX];
    size_t length = cache_build(cache, "libfast.so.3", OWN_MALLOC, 0);
    for (size_t cut = 0; cut < length; cut++)
        assert_false(cache_finds(cache, cut, "libfast.so.*"));
    const uint32_t huge = UINT32_MAX;
    for (size_t offset = 20; offset < HEAD + ENTRY; offset += 4) {
        cache_build(cache, "libfast.so.3", OWN_MALLOC, 0);
        memcpy(cache + offset, &huge, sizeof huge);
        cache_finds(cache, length, "libfast.so.*");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(library_path_comes_first),
        cmocka_unit_test(libc_is_found),
        cmocka_unit_test(cache_is_searched),
        cmocka_unit_test(damaged_caches_find_nothing),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
