/* SPDX-License-Identifier: MIT */
/*
 * test_joined.c - a joined walk yields what a full one yields, whatever happened in between. The
 * comparison is in probe_take(), which ends the process when they differ.
 */
#include "probe.h"
#include "shapes.h"

#include <stack/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static const uint32_t limits[] = {64, 64, 64, 256, 5, 2, 1};

static void take(void *unused)
{
    struct probe_stack taken;
    probe_take(64, &taken);
    __asm__ volatile("" ::: "memory");
}

/* ---- random trees of calls ------------------------------------------------------------------- */

#define DEPTH_MAX 40
#define FIBERS 3

/* The address sanitizer loses count of a coroutine's stack. */
#ifdef __SANITIZE_ADDRESS__
#define MAY_JUMP 0
#define MANY_TAKES 3000 /* walked many times slower */
#else
#define MAY_JUMP 1
#define MANY_TAKES 15000
#endif

/* A tree that is being walked; each thread and each fiber has one. */
struct tree {
    uint64_t random;
    uint32_t limit; /* of all stacks; 0: of each another */
    int depth;
    long takes_left;
    jmp_buf root;
    bool in_handler;
    void (*elsewhere)(struct tree *tree); /* where else to go on for a while; NULL: nowhere */
};

static shape *const shapes[] = {
    shape_plain,  shape_left,      shape_right,      shape_left,        shape_right,
    shape_alloca, shape_realigned, shape_left,       shape_right,       shape_frame_pointer,
#ifdef __x86_64__
    shape_rbx,    shape_left,      shape_expression, shape_undescribed,
#endif
};

static uint32_t draw(struct tree *tree, uint32_t below)
{
    tree->random = tree->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(tree->random >> 33) % below;
}

static uint32_t limit_of(struct tree *tree)
{
    return tree->limit != 0 ? tree->limit : limits[draw(tree, sizeof(limits) / 4)];
}

static void node(void *argument)
{
    struct tree *tree = argument;
    struct probe_stack taken;
    tree->depth++;
    for (uint32_t children = 1 + draw(tree, 3); children > 0 && tree->takes_left > 0; children--) {
        uint32_t choice = draw(tree, 64);
        if (choice < 16) {
            tree->takes_left--;
            probe_take_below((int)draw(tree, 3), limit_of(tree), &taken);
        } else if (choice == 16 && !tree->in_handler && MAY_JUMP) {
            longjmp(tree->root, 1);
        } else if (choice < 20 && tree->elsewhere != NULL) {
            tree->elsewhere(tree);
        } else if (tree->depth < DEPTH_MAX) {
            shapes[draw(tree, sizeof(shapes) / sizeof(shapes[0]))](node, tree);
        }
    }
    tree->depth--;
}

static noinline void grow(struct tree *tree)
{
    setjmp(tree->root);
    tree->depth = 0;
    while (tree->takes_left > 0)
        node(tree);
}

static void test_tree(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct tree tree = {.random = seed,
                            .limit = seed < 10 ? 0 : 64,
                            .takes_left = seed < 10 ? 3000 : MANY_TAKES};
        grow(&tree);
    }
}

static void *tree_in_thread(void *seed)
{
    struct tree tree = {.random = (uintptr_t)seed, .takes_left = 5000};
    grow(&tree);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, tree_in_thread, (void *)(i + 100)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static struct tree *interrupted;

static void on_signal(int number)
{
    struct tree *tree = interrupted;
    int depth = tree->depth;
    tree->in_handler = true;
    node(tree);
    tree->in_handler = false;
    tree->depth = depth;
}

static void raise_signal(struct tree *tree)
{
    if (tree->in_handler)
        return;
    interrupted = tree;
    raise(SIGUSR1);
}

static void test_signals(void **state)
{
    enum { SIZE = 1 << 20 };
    stack_t stack = {.ss_sp = malloc(SIZE), .ss_size = SIZE};
    for (int on_alternate = 0; on_alternate < 2; on_alternate++) {
        struct sigaction action = {.sa_handler = on_signal,
                                   .sa_flags = on_alternate ? SA_ONSTACK : 0};
        struct tree tree = {
            .random = 7, .limit = 64, .takes_left = 5000, .elsewhere = raise_signal};
        sigaltstack(&stack, NULL);
        sigaction(SIGUSR1, &action, NULL);
        grow(&tree);
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    free(stack.ss_sp);
}

static struct fiber {
    ucontext_t context;
    struct tree tree;
} fibers[FIBERS];
static ucontext_t main_context;
static int running;

static void switch_fiber(struct tree *tree)
{
    int from = running;
    running = (from + 1 + (int)draw(tree, FIBERS - 1)) % FIBERS;
    swapcontext(&fibers[from].context, &fibers[running].context);
}

static void fiber(void)
{
    grow(&fibers[running].tree);
    setcontext(&main_context);
}

static void make_fiber(struct fiber *ret, uint64_t seed, char *stack, size_t size)
{
    ret->tree = (struct tree){.random = seed, .takes_left = 2000, .elsewhere = switch_fiber};
    getcontext(&ret->context);
    ret->context.uc_stack = (stack_t){.ss_sp = stack, .ss_size = size};
    makecontext(&ret->context, fiber, 0);
}

static void test_coroutines(void **state)
{
    enum { SIZE = 1 << 18 };
    char *stacks =
        mmap(NULL, FIBERS * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < FIBERS; i++)
        make_fiber(&fibers[i], (uint64_t)i + 1000, stacks + i * SIZE, SIZE);
    running = 0;
    swapcontext(&main_context, &fibers[0].context);
    munmap(stacks, FIBERS * SIZE);
    take(NULL);
}

/* ---- what looks the same and is not ---------------------------------------------------------- */

/* Two callers whose frames end at the same place, with room of any size between them and what they
 * call: the frames further in are the same, word by word, and so is what is left over of those that
 * were in between; only the frame pointer tells that they are not there any more. */
static noinline void between(size_t room, shape *const inner[])
{
    char *memory = alloca(room);
    __asm__ volatile("" ::"r"(memory));
    /* From one place too: the second walk joins this frame. */
    for (; *inner != NULL; inner++)
        (*inner)(take, NULL);
    __asm__ volatile("" ::"r"(__builtin_frame_address(0)) : "memory");
}

#define OUTER(name, number)                                                                        \
    static noinline void name(size_t room, size_t total, shape *const inner[])                     \
    {                                                                                              \
        char *memory = alloca(room);                                                               \
        __asm__ volatile("" ::"r"(memory));                                                        \
        between(total - room, inner);                                                              \
        __asm__ volatile("" ::"r"(__builtin_frame_address(0)), "i"(number) : "memory");            \
    }
OUTER(outer_left, 1)
OUTER(outer_right, 2)

static void test_frame_pointers(void **state)
{
    shape *const inner[] = {shape_plain, shape_frame_pointer, shape_realigned, shape_alloca};
    void (*const volatile outer[])(size_t, size_t, shape *const[]) = {outer_left, outer_right};
    for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
        shape *const last_of_two[] = {shape_left, inner[i], NULL};
        for (size_t room = 64; room <= 2048; room += 64) {
            /* From one place, so that they return to the same address. */
            for (volatile int side = 0; side < 2; side++)
                outer[side](room + 128 * (size_t)side, 4096, last_of_two + (room % 128 ? 0 : side));
        }
    }
}

/* The frames that a joined walk comes from have the fp that ours saved. */
static void take_below(void *taken)
{
    probe_take_below(1, 64, taken);
    __asm__ volatile("" ::: "memory");
}

static void test_joins_frame_pointers(void **state)
{
    struct probe_stack taken;
    for (volatile int i = 0; i < 4; i++) {
        (i % 2 ? shape_frame_pointer : shape_realigned)(take_below, &taken);
        assert_true(probe_was_joined(&taken));
    }
}

static int depth_wanted;
static uint32_t depth_limit; /* 0: any */

static uint32_t draw_limit(struct tree *tree)
{
    return depth_limit != 0 ? depth_limit : limits[draw(tree, 4)];
}

/* Many small frames, where there were few large ones. */
static noinline void narrow(int depth, struct tree *tree)
{
    struct probe_stack *taken;
    if (depth > 0) {
        narrow(depth - 1, tree);
    } else {
        taken = malloc(sizeof(*taken));
        probe_take(draw_limit(tree), taken);
        free(taken);
    }
    __asm__ volatile("" ::: "memory");
}

static void narrow_for(void *tree)
{
    narrow((int)draw(tree, 60), tree);
    __asm__ volatile("" ::: "memory");
}

static noinline int dive(int depth, struct tree *tree)
{
    struct probe_stack taken;
    int result = 0;
    while (depth == depth_wanted || (depth < depth_wanted && result == 0)) {
        if (depth == depth_wanted) {
            if (--tree->takes_left < 0)
                return 1;
            switch (draw(tree, 4)) {
            case 0:
                narrow_for(tree);
                break;
#ifdef __x86_64__
            case 1:
                shape_rbx(narrow_for, tree);
                break;
#endif
            default:
                probe_take(draw_limit(tree), &taken);
            }
            depth_wanted += (int)draw(tree, 41) - 20;
            depth_wanted = depth_wanted < 20 ? 20 : depth_wanted > 600 ? 600 : depth_wanted;
        } else {
            result = dive(depth + 1, tree);
        }
    }
    return result;
}

/* Deeper than the limit, deeper than what is remembered, and back. */
static void test_recursion(void **state)
{
    const uint32_t fixed[] = {64, 256, 0};
    for (int i = 0; i < 3; i++) {
        struct tree tree = {.random = 3, .takes_left = 3000};
        depth_limit = fixed[i];
        depth_wanted = 300;
        dive(0, &tree);
    }
}

static void test_other_process(void **state)
{
    struct probe_stack taken;
    for (volatile int i = 0; i < 3; i++) {
        probe_take(64, &taken);
        probe_forget_tables();
    }
    probe_take(64, &taken);
}

/* ---- memory that goes away ------------------------------------------------------------------- */

static ucontext_t edge_context;
static char *edge_page;

static void take_without_outer_page(void *unused)
{
    struct probe_stack taken;
    for (volatile int i = 0; i < 3; i++) {
        probe_take(64, &taken);
        assert_int_equal(taken.flags, 0);
        mprotect(edge_page, 4096, PROT_NONE);
        probe_take(64, &taken);
        mprotect(edge_page, 4096, PROT_READ | PROT_WRITE);
        assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
    }
}

static void on_edge(void)
{
    volatile char *room = alloca(3 * 4096);
    room[0] = 1;
    shape_plain(take_without_outer_page, NULL);
    __asm__ volatile("" ::"r"(room) : "memory");
}

static void test_unreadable(void **state)
{
    enum { SIZE = 1 << 18 };
    char *stack = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    edge_page = stack + SIZE - 4096;
    getcontext(&edge_context);
    edge_context.uc_stack = (stack_t){.ss_sp = stack, .ss_size = SIZE};
    edge_context.uc_link = &main_context;
    makecontext(&edge_context, on_edge, 0);
    swapcontext(&main_context, &edge_context);
    munmap(stack, SIZE);
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/*
 * A signal handler that forks leaves, in the child, a capture whose tables and memory are suddenly
 * zero, and may take stacks itself before it returns there. So at one instruction after the other
 * (the processor traps after each) the handler does as much, and the result must be no stack, or
 * the one that was taken before the fork, or the right one.
 */
static long countdown; /* instructions until the handler strikes */

static void on_trap(int number, siginfo_t *info, void *context)
{
    if (--countdown > 0)
        return;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
    probe_forget();
    take(NULL);
}

struct trapped {
    bool joined, trapped;
    uint32_t id;
};

static void capture(void *argument)
{
    struct trapped *ret = argument;
    uint32_t flags;
    if (ret->trapped)
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    ret->id = ret->joined ? probe_capture_joined(64, &flags) : probe_capture(64, &flags);
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static void capture_deeper(void *argument)
{
    shape_frame_pointer(capture, argument);
    __asm__ volatile("" ::: "memory");
}

/* Whether the capture was still under way after so many instructions. */
static bool strike(bool joined, bool known, long after)
{
    uint32_t ids[3];
    for (volatile int i = 0; i < 3; i++) { /* from one place: one stack */
        struct trapped call = {.joined = joined, .trapped = i == 1};
        if (!known)
            memory_forget_recalled(&probe_memory()->recall);
        if (i == 1)
            countdown = after;
        shape_right(take, NULL); /* so that there is something to walk */
        shape_left(capture_deeper, &call);
        ids[i] = call.id;
    }
    if (ids[1] != 0 && ids[1] != ids[0])
        assert_int_equal(ids[1], ids[2]);
    for (volatile int i = 0; i < 2; i++)
        take(NULL); /* what is remembered now is nobody else's */
    return countdown <= 0;
}

static void test_wiped(void **state)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO}, before;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTRAP, &action, &before);
    for (int way = 0; way < 3; way++) { /* walked in full, joined, known */
        long after = 1;
        while (strike(way > 0, way == 2, after))
            after += way > 0 ? 29 : 1 + after / 8;
        print_message("%ld instructions in a capture\n", after);
        assert_true(after > 100);
    }
    sigaction(SIGTRAP, &before, NULL);
}

#endif

static int prepare(void **state)
{
    return probe_init(STACK_WALKER_CFI) == STACK_WALKER_CFI ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_coroutines),
        cmocka_unit_test(test_frame_pointers),
        cmocka_unit_test(test_joins_frame_pointers),
        cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_other_process),
        cmocka_unit_test(test_unreadable),
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_wiped),
#endif
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
