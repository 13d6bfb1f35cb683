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
#include <string.h>
#include <ucontext.h>

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
        turns[way->depth < 32 && (way->path >> way->depth & 1)](go, way);
    __asm__ volatile("" ::: "memory");
}

/* Go many ways from one place, as each is a place of its own to the compiler where it branches.
 * Whether each is known then is what `known` was before. */
static noinline void expect(const struct way *ways, int count)
{
    for (volatile int i = 0; i < count; i++) {
        struct way way = ways[i];
        go(&way);
        assert_int_equal(way.known, ways[i].known);
    }
}

static void test_knows(void **state)
{
    /* What is remembered of stacks of one limit says nothing of another. */
    const struct way ways[] = {
        {.path = 5, .depth = 3, .limit = 64},
        {.path = 5, .depth = 3, .limit = 64, .known = true},
        {.path = 5, .depth = 3, .limit = 64, .known = true},
        {.path = 5, .depth = 3, .limit = 65},
        {.path = 5, .depth = 3, .limit = 65, .known = true},
    };
    expect(ways, 5);
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
    struct way ways[80];
    for (uint32_t i = 0; i < 80; i++)
        ways[i] = (struct way){
            .path = i < 8 ? i : i * i * 3 / 2 % 8, .depth = 3, .limit = 64, .known = i >= 8};
    expect(ways, 80);
}

/* Stacks that were cut off are not put down. */
static void test_longer_than_wanted(void **state)
{
    struct way ways[6];
    for (int i = 0; i < 6; i++)
        ways[i] = (struct way){.depth = 30, .limit = i < 3 ? 20 : 128, .known = i > 3};
    expect(ways, 6);
}

/* Frame pointers are words to be verified, too. */
static void test_long(void **state)
{
    struct way ways[9];
    for (int i = 0; i < 9; i++) {
        bool short_enough = i < 6;
        ways[i] = (struct way){.depth = short_enough ? 40 : 110,
                               .framed = i >= 3,
                               .limit = MALLOCTAP_STACK_FRAMES_MAX,
                               .known = short_enough && i % 3 > 0};
    }
    expect(ways, 9);
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
    enum { DEPTHS = 60, LAST = 5, FIRST = 40 };
    struct way ways[2 * DEPTHS + LAST + FIRST], *way = ways;
    for (int i = 0; i < 2 * DEPTHS; i++)
        *way++ = (struct way){.depth = 1 + i / 2, .framed = i % 2};
    for (int i = 0; i < LAST; i++)
        *way++ = (struct way){.depth = DEPTHS - i, .known = true};
    for (int i = 0; i < FIRST; i++)
        *way++ = (struct way){.depth = 1 + i};
    for (way = ways; way < ways + 2 * DEPTHS + LAST + FIRST; way++)
        way->limit = MALLOCTAP_STACK_FRAMES_MAX;
    expect(ways, 2 * DEPTHS + LAST + FIRST);
}

/* What is looked for but not put down, as it is known by another's layout or too long, replaces no
 * places either. */
static void test_places_stay(void **state)
{
    static int16_t seen[MEMORY_RECALLED][MEMORY_WORDS_A_STACK];
    const struct memory_recall *recall = &probe_memory()->recall;
    uint32_t random = 1, copied = 0;
    for (volatile int i = 0; i < 3000; i++) {
        random = random * 1103515245 + 12345;
        struct way way = {.path = random >> 16,
                          .depth = i % 50 == 0 ? 110 : 1 + (int)(random >> 8) % 40,
                          .framed = random >> 30 == 0 || i % 50 == 0,
                          .limit = MALLOCTAP_STACK_FRAMES_MAX};
        go(&way);
        for (uint32_t serial = recall->serial - MEMORY_RECALLED + 1; serial != recall->serial + 1;
             serial++) {
            const struct memory_recalled *one = recall_of(probe_memory(), serial);
            const int16_t *words = &recall->words[one->words_begin % MEMORY_RECALLED_WORDS];
            if (serial == copied + 1) {
                memcpy(seen[serial % MEMORY_RECALLED], words, one->words * sizeof(*words));
                copied++;
            }
            if (one->id != 0 && recall_get(probe_memory(), serial) != NULL)
                assert_memory_equal(seen[serial % MEMORY_RECALLED], words,
                                    one->words * sizeof(*words));
        }
    }
#ifndef __SANITIZE_ADDRESS__ /* frames are so large there that hardly any stack is put down */
    assert_true(recall->words_end > MEMORY_RECALLED_WORDS);
#endif
}

static ucontext_t outside, inside;

/* Neither is known on a stack that is not the thread's, nor is anything forgotten for it. */
static void take_inside(void)
{
    struct memory_bucket *bucket = &probe_memory()->recall.buckets[0];
    for (volatile int i = 0; i < 3; i++) {
        uint32_t flags;
        assert_int_not_equal(probe_capture_joined(64, &flags), 0);
        if (i > 0)
            assert_int_equal(bucket->wasted, 7);
        bucket->wasted = 7;
    }
}

static void test_coroutine(void **state)
{
    static char stack[1 << 17];
    getcontext(&inside);
    inside.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof(stack)};
    inside.uc_link = &outside;
    makecontext(&inside, take_inside, 0);
    swapcontext(&outside, &inside);
}

static uint32_t skipped(const struct memory_recall *recall)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < MEMORY_BUCKETS; i++)
        sum += recall->buckets[i].skipped;
    return sum;
}

/* How many of `count` ways of as many paths, or of one, are known. */
static noinline uint32_t go_all(uint32_t count, uint32_t path_mask, int depth)
{
    uint32_t known = 0;
    for (volatile uint32_t i = 0; i < count; i++) {
        struct way way = {.path = i & path_mask, .depth = depth, .limit = 64};
        go(&way);
        known += way.known;
    }
    return known;
}

/* Where hardly any stack is met again there is no putting down, until there is. */
static void test_not_worth_it(void **state)
{
    enum { PATHS = 2048, TURNS = 3000 };
    static const uint32_t counts[] = {PATHS, TURNS}, masks[] = {UINT32_MAX, 0};
    uint32_t known[2], left_off[2];
    for (volatile int i = 0; i < 2; i++) {
        known[i] = go_all(counts[i], masks[i], 11);
        left_off[i] = skipped(&probe_memory()->recall);
    }
    assert_int_equal(known[0], 0);
    assert_in_range(left_off[0], PATHS - 2 * RECALL_WASTED_MAX, PATHS);
    assert_in_range(known[1], TURNS - 3 * RECALL_SKIPPED, TURNS);
}

/* A thread knows the stacks that another one took, once it knows how one of them lies. */
static void *take_all(void *known)
{
    *(uint32_t *)known = go_all(16, UINT32_MAX, 4);
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
        cmocka_unit_test_setup(test_places_stay, forget),
        cmocka_unit_test_setup(test_coroutine, forget),
        cmocka_unit_test_setup(test_not_worth_it, forget),
        cmocka_unit_test_setup(test_other_thread, forget),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
