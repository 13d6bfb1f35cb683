/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <boot/arena.h>

#include <string.h>

static void blocks_are_apart_aligned_and_zero(void **state)
{
    (void)state;
    char *before = arena_alloc(1, 1);
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        char *block = arena_alloc(40, alignment);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % (alignment < 16 ? 16 : alignment), 0);
        assert_true(block >= before + arena_usable_size(before));
        for (size_t i = 0; i < 40; i++)
            assert_int_equal(block[i], 0);
        assert_true(arena_usable_size(block) >= 40);
        memset(block, 0xff, arena_usable_size(block));
        before = block;
    }
}

static void ownership_is_exact(void **state)
{
    (void)state;
    char *block = arena_alloc(16, 16);
    assert_true(arena_owns(block));
    assert_true(arena_owns(arena_memory + ARENA_SIZE - 1));
    assert_false(arena_owns(arena_memory + ARENA_SIZE));
    assert_false(arena_owns(arena_memory - 1));
    assert_false(arena_owns(NULL));
}

static void full_is_null(void **state)
{
    (void)state;
    assert_null(arena_alloc(SIZE_MAX, 16));
    assert_null(arena_alloc(16, (size_t)1 << 40));
    while (arena_alloc(4096, 16) != NULL)
        continue;
    assert_null(arena_alloc(4096, 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart_aligned_and_zero),
        cmocka_unit_test(ownership_is_exact),
        cmocka_unit_test(full_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
