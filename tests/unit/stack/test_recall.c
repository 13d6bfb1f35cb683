/* SPDX-License-Identifier: MIT */
/* test_recall.c - stacks that were taken before are known without a walk, and no others. */
#include "plugin.h"
#include "probe.h"
#include "shapes.h"

#include <stack/memory.h>
#include <stack/recall.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>

/* A way to the capture: through `depth` frames, left or right by the bits of `path`, the outermost
 * by the lowest. */
struct way {
    uint32_t path;
    int depth;
    uint32_t limit;
    bool framed; /* with frame pointers instead */
    bool known;  /* without a walk */
};

/* Both are called from one place. Before, it is as if no frame was remembered, as only a walk ends
 * with it. */
static void take(void *argument)
{
    static uint32_t (*const volatile captures[])(uint32_t limit, uint32_t * flags) = {
        probe_capture, probe_capture_joined};
    const uint64_t frames_mask = 4095; /* the rest is an address of whole pages */
    struct way *way = argument;
    struct stack_memory *memory = probe_memory();
    uint32_t flags[2], ids[2];
    memory->chain &= ~frames_mask;
    for (volatile int i = 0; i < 2; i++)
        ids[i] = captures[i](way->limit, &flags[i]);
    assert_int_equal(ids[1], ids[0]);
    assert_int_equal(flags[1], flags[0]);
    assert_int_equal(memory->id, ids[0]);
    way->known = (memory->chain & frames_mask) == 0;
}

static void go(void *argument)
{
    struct way *way = argument;
    shape *const turns[] = {shape_left, shape_right};
    if (way->depth-- == 0)
        take(way);
    else if (way->framed)
        shape_frame_pointer(go, way);
    else
        turns[way->path >> way->depth & 1](go, way);
    __asm__ volatile("" ::: "memory");
}

static bool knows(uint32_t path, int depth, uint32_t limit)
{
    struct way way = {.path = path, .depth = depth, .limit = limit};
    go(&way);
    return way.known;
}

static void test_knows(void **state)
{
    for (volatile int i = 0; i < 4; i++)
        assert_int_equal(knows(5, 3, 64), i > 0);
    /* What is remembered of stacks of one limit says nothing of another. */
    for (volatile int i = 0; i < 2; i++)
        assert_int_equal(knows(5, 3, 65), i > 0);
}

/* Two places in one frame, the second not always after the first. */
static void test_two_places(void **state)
{
    uint32_t ids[2][12], flags;
    for (volatile int i = 0; i < 12; i++) {
        ids[0][i] = probe_capture_joined(64, &flags);
        ids[1][i] = ids[1][0];
        if (i % 3 == 0)
            ids[1][i] = probe_capture_joined(64, &flags);
    }
    assert_int_not_equal(ids[0][0], ids[1][0]);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(ids[0][i], ids[0][0]);
        assert_int_equal(ids[1][i], ids[1][0]);
    }
}

/* Of one beginning, in turn and in disorder. */
static void test_begins_alike(void **state)
{
    for (volatile uint32_t i = 0; i < 10 * RECALL_TRIES; i++) {
        bool first = i < RECALL_TRIES;
        assert_int_equal(knows(first ? i : i * i * 3 / 2 % RECALL_TRIES, 3, 64), !first);
    }
}

/* Neither are stacks that were cut off. */
static void test_longer_than_wanted(void **state)
{
    for (volatile int i = 0; i < 3; i++)
        assert_false(knows(0, 30, 20));
    for (volatile int i = 0; i < 3; i++)
        assert_int_equal(knows(0, 30, 128), i > 0);
}

/* Frame pointers are words to be verified, too. */
static void test_long(void **state)
{
    for (volatile int i = 0; i < 9; i++) {
        bool short_enough = i < 6;
        struct way way = {.depth = short_enough ? 70 : 110,
                          .framed = i >= 3,
                          .limit = MALLOCTAP_STACK_FRAMES_MAX};
        go(&way);
        assert_int_equal(way.known, short_enough && i % 3 > 0);
    }
}

/* Two libraries of one layout take turns at one address. */
static void test_other_module(void **state)
{
    for (volatile int i = 0; i < 6; i++) {
        void *library = dlopen(i % 2 ? PLUGIN_B : PLUGIN_A, RTLD_NOW);
        __typeof__(&plugin_call) call = (__typeof__(&plugin_call))dlsym(library, "plugin_call");
        for (volatile int j = 0; j < 3; j++) {
            struct way way = {.limit = 64};
            call(take, &way);
            if (j != 1) /* not known from the first time if what was known there was another's */
                assert_int_equal(way.known, j > 0);
        }
        dlclose(library);
    }
}

/* Frames so large that the outer ones' words are too far away. */
static noinline void take_below_large(void *argument)
{
    volatile char room[3 * INT16_MAX];
    struct way *way = argument;
    room[0] = room[sizeof(room) - 1] = 1;
    if (way->depth-- == 0)
        take(way);
    else
        take_below_large(way);
    __asm__ volatile("" ::"r"(room) : "memory");
}

static void test_far_apart(void **state)
{
    for (volatile int i = 0; i < 6; i++) {
        struct way way = {.depth = i < 3 ? 1 : 3, .limit = 64};
        take_below_large(&way);
        assert_int_equal(way.known, i == 1 || i == 2);
    }
}

/* The last are still there; of the first, the words' places have been replaced: by ones that hold
 * the same words often enough, as all this is one recursion. */
static void test_replaced(void **state)
{
    enum { DEPTHS = 100, LAST = 10, FIRST = 40 };
    for (volatile int i = 0; i < DEPTHS + LAST + FIRST; i++) {
        int again = i - DEPTHS;
        bool last = again >= 0 && again < LAST;
        int depth = again < 0 ? i : last ? DEPTHS - 1 - again : again - LAST;
        assert_int_equal(knows(0, depth, 256), last);
    }
}

/* Where hardly any stack is met again there is no putting down, until there is. */
static void test_not_worth_it(void **state)
{
    enum { PATHS = 2048 };
    const struct memory_recall *recall = &probe_memory()->recall;
    volatile uint32_t path = 0;
    while (path < PATHS)
        assert_false(knows(path++, 11, 64));
    assert_in_range(recall->serial, RECALL_WASTED_MAX, RECALL_WASTED_MAX + PATHS / RECALL_SKIPPED);
    uint32_t known = 0;
    for (volatile uint32_t i = 0; i < 100 * RECALL_SKIPPED; i++)
        known += knows(0, 11, 64);
    assert_in_range(known, 97 * RECALL_SKIPPED, 100 * RECALL_SKIPPED);
}

static int prepare(void **state)
{
    return probe_init(STACK_WALKER_CFI) == STACK_WALKER_CFI ? 0 : -1;
}

static int forget(void **state)
{
    probe_forget();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_knows, forget),
        cmocka_unit_test_setup(test_two_places, forget),
        cmocka_unit_test_setup(test_begins_alike, forget),
        cmocka_unit_test_setup(test_longer_than_wanted, forget),
        cmocka_unit_test_setup(test_long, forget),
        cmocka_unit_test_setup(test_other_module, forget),
        cmocka_unit_test_setup(test_far_apart, forget),
        cmocka_unit_test_setup(test_replaced, forget),
        cmocka_unit_test_setup(test_not_worth_it, forget),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
