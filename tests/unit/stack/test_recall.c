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

#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>

/* A way to the capture: through `depth` frames, left or right by the bits of `path`, the outermost
 * by the lowest. */
struct way {
    uint32_t path;
    int depth;
    uint32_t limit;
    bool framed;    /* with frame pointers instead */
    bool elsewhere; /* from another place in the innermost frame */
    bool known;     /* without a walk */
};

/* Both are called from one place, or both from another. Before, it is as if no frame was
 * remembered, as only a walk ends with it. */
static void take(void *argument)
{
    static uint32_t (*const volatile captures[])(uint32_t limit, uint32_t * flags) = {
        probe_capture, probe_capture_joined};
    const uint64_t frames_mask = 4095; /* the rest is an address of whole pages */
    struct way *way = argument;
    struct stack_memory *memory = probe_memory();
    uint32_t flags[2], ids[2];
    memory->chain &= ~frames_mask;
    for (volatile int i = 0; i < 2 && !way->elsewhere; i++)
        ids[i] = captures[i](way->limit, &flags[i]);
    for (volatile int i = 0; i < 2 && way->elsewhere; i++)
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

/* All stacks of these ways have the same words but one. */
static void test_two_places(void **state)
{
    uint32_t random = 1;
    for (volatile int i = 0; i < 500; i++) {
        random = random * 1103515245 + 12345;
        struct way way = {
            .path = random >> 20, .depth = 3, .elsewhere = random >> 19 & 1, .limit = 64};
        go(&way);
        assert_true(way.known || i < 100);
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

/* Stacks that were cut off are not put down. */
static void test_longer_than_wanted(void **state)
{
    for (volatile int i = 0; i < 6; i++)
        assert_int_equal(knows(0, 30, i < 3 ? 20 : 128), i > 3);
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

/* Two libraries of one layout take turns at one address, with two paths through each. */
static void test_other_module(void **state)
{
    for (volatile int i = 0; i < 6; i++) {
        void *library = dlopen(i % 2 ? PLUGIN_B : PLUGIN_A, RTLD_NOW);
        __typeof__(&plugin_call) call = (__typeof__(&plugin_call))dlsym(library, "plugin_call");
        for (volatile uint32_t j = 0; j < 6; j++) {
            struct way way = {.path = j % 2, .depth = 1, .limit = 64};
            call(go, &way);
            if (j == 0 || j >= 4)
                assert_int_equal(way.known, j > 0);
        }
        dlclose(library);
    }
}

static noinline void below_room(size_t room, struct way *way)
{
    volatile char *memory = alloca(room);
    memory[0] = 1;
    go(way);
    __asm__ volatile("" ::"r"(memory) : "memory");
}

static noinline void divide_room(size_t room, size_t total, struct way *way)
{
    volatile char *memory = alloca(room);
    memory[0] = 1;
    below_room(total - room, way);
    __asm__ volatile("" ::"r"(memory) : "memory");
}

/* Stacks that begin alike and differ in where a frame in their middle ends. */
static void test_other_layout(void **state)
{
    for (volatile int i = 0; i < 8; i++) {
        struct way way = {.depth = 2, .path = (uint32_t)i / 4, .limit = 64};
        divide_room(i % 2 ? 128 : 256, 1024, &way);
        assert_int_equal(way.known, i % 4 >= 2);
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

static uint32_t skipped(const struct memory_recall *recall)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < MEMORY_BUCKETS; i++)
        sum += recall->buckets[i].skipped;
    return sum;
}

/* Where hardly any stack is met again there is no putting down, until there is. */
static void test_not_worth_it(void **state)
{
    enum { PATHS = 2048 };
    for (volatile uint32_t path = 0; path < PATHS; path++)
        assert_false(knows(path, 11, 64));
    assert_in_range(skipped(&probe_memory()->recall), PATHS - 2 * RECALL_WASTED_MAX, PATHS);
    uint32_t known = 0;
    for (volatile uint32_t i = 0; i < 100 * RECALL_SKIPPED; i++)
        known += knows(0, 11, 64);
    assert_in_range(known, 97 * RECALL_SKIPPED, 100 * RECALL_SKIPPED);
}

/* A thread knows the stacks that another one took, once it knows how one of them lies. */
static void *take_all(void *known)
{
    uint32_t *ret = known;
    *ret = 0;
    for (volatile uint32_t path = 0; path < 16; path++)
        *ret += knows(path, 4, 64);
    return NULL;
}

static void test_other_thread(void **state)
{
    uint32_t known;
    pthread_t thread;
    for (volatile int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread, NULL, take_all, &known), 0);
        pthread_join(thread, NULL);
        assert_int_equal(known, i == 0 ? 0 : 15);
    }
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
        cmocka_unit_test_setup(test_other_layout, forget),
        cmocka_unit_test_setup(test_far_apart, forget),
        cmocka_unit_test_setup(test_replaced, forget),
        cmocka_unit_test_setup(test_not_worth_it, forget),
        cmocka_unit_test_setup(test_other_thread, forget),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
