/* SPDX-License-Identifier: MIT */
#include "reference.h"
#include "shapes.h"

#include <errno.h>
#include <limits.h>
#include <printf.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static struct probe_stack taken;

static void compare(void *unused)
{
    REFERENCE_AGREES(&taken);
    assert_int_equal(taken.flags, 0);
}

struct chain {
    shape *const *shapes;
    int count;
};

static void call_chain(void *argument)
{
    struct chain *chain = argument;
    if (chain->count == 0) {
        compare(NULL);
        return;
    }
    chain->count--;
    (*chain->shapes++)(call_chain, chain);
    __asm__ volatile("" ::: "memory");
}

static void test_shapes(void **state)
{
    static shape *const shapes[] = {
        shape_plain, shape_alloca,        shape_realigned, shape_plain,
        shape_large, shape_frame_pointer, shape_realigned, shape_alloca,
#ifdef __x86_64__
        shape_rbx,   shape_plain,         shape_rbx,       shape_expression,
        shape_plain, shape_rbx,
#endif
    };
    for (int count = 0; count <= (int)(sizeof(shapes) / sizeof(shapes[0])); count++) {
        for (int round = 0; round < 2; round++) { /* cold, then from the cache */
            struct chain chain = {shapes, count};
            call_chain(&chain);
            assert_true(taken.count > (uint32_t)count * 2);
        }
    }
}

static int compare_numbers(const void *a, const void *b)
{
    compare(NULL);
    return *(const int *)a - *(const int *)b;
}

static int print_hook(FILE *stream, const struct printf_info *info, const void *const *arguments)
{
    compare(NULL);
    return fprintf(stream, "x");
}

static int print_sizes(const struct printf_info *info, size_t count, int *types, int *sizes)
{
    return 0;
}

static void visit(const void *node, VISIT which, int depth)
{
    compare(NULL);
}

static void test_through_libraries(void **state)
{
    int numbers[] = {5, 3, 1, 4, 2};
    qsort(numbers, 5, sizeof(numbers[0]), compare_numbers);
    bsearch(&numbers[1], numbers, 5, sizeof(numbers[0]), compare_numbers);
    char buffer[16];
    register_printf_specifier('Y', print_hook, print_sizes);
    /* Not a constant: the compiler would have its say about %Y. */
    char format[] = {'%', 'Y', '\0'};
    snprintf(buffer, sizeof(buffer), format, 1);
    void *root = NULL;
    for (int i = 0; i < 5; i++)
        tsearch(&numbers[i], &root, compare_numbers);
    twalk(root, visit);
    for (int i = 0; i < 5; i++)
        tdelete(&numbers[i], &root, compare_numbers);
}

static __attribute__((noinline)) int recurse(int depth)
{
    int result = depth == 0 ? 0 : recurse(depth - 1) + 1;
    if (depth == 0)
        probe_take((uint32_t)MALLOCTAP_STACK_FRAMES_MAX, &taken);
    __asm__ volatile("" ::: "memory");
    return result;
}

static void test_limit(void **state)
{
    recurse(400);
    assert_int_equal(taken.count, MALLOCTAP_STACK_FRAMES_MAX);
    assert_int_equal(taken.flags, MALLOCTAP_STACK_LIMITED);
    assert_int_equal(taken.pcs[100], taken.pcs[101]);
    probe_take(1, &taken);
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.flags, MALLOCTAP_STACK_LIMITED);
    /* Exactly as many as there are is not too many. */
    struct probe_stack whole;
    for (int i = 0; i < 2; i++)
        probe_take(i == 0 ? 256 : whole.count, i == 0 ? &whole : &taken);
    assert_int_equal(taken.count, whole.count);
    assert_int_equal(taken.flags, 0);
}

static void test_same_stack_same_id(void **state)
{
    uint32_t flags, ids[3];
    for (volatile int i = 0; i < 3; i++) /* one call, not three unrolled ones */
        ids[i] = probe_capture(64, &flags);
    assert_int_equal(ids[0], ids[1]);
    assert_int_equal(ids[1], ids[2]);
    assert_int_not_equal(ids[0], probe_capture(64, &flags));
}

static void test_errno_is_kept(void **state)
{
    uint32_t flags;
    probe_forget();
    errno = 12345;
    probe_capture(64, &flags);
    assert_int_equal(errno, 12345);
}

/* ---- signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;
static uintptr_t interrupted_pc;

static void on_signal(int number, siginfo_t *info, void *context)
{
#ifdef __x86_64__
    greg_t *pc = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    interrupted_pc = (uintptr_t)*pc;
#endif
    REFERENCE_AGREES(&taken);
#ifdef __x86_64__
    if (number == SIGILL)
        *pc += 2; /* go on behind the trap */
#endif
    handled++;
}

static void raise_here(void *unused)
{
    raise(SIGUSR1);
    __asm__ volatile("" ::: "memory");
}

static void install(int number, int flags)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static bool took(uintptr_t pc)
{
    for (uint32_t i = 0; i < taken.count; i++) {
        if (taken.pcs[i] == pc)
            return true;
    }
    return false;
}

static void test_signal(void **state)
{
    static char alternate[1 << 16];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    handled = 0;
    for (int on_alternate = 0; on_alternate < 2; on_alternate++) {
        if (on_alternate)
            sigaltstack(&stack, NULL);
        install(SIGUSR1, on_alternate ? SA_ONSTACK : 0);
        install(SIGILL, on_alternate ? SA_ONSTACK : 0);
        shape_realigned(raise_here, NULL);
        assert_int_equal(taken.flags, 0);
#ifdef __x86_64__
        shape_rbx(raise_here, NULL);
        assert_int_equal(taken.flags, 0);
        shape_plain(shape_trap, NULL);
        assert_int_equal(taken.flags, 0);
        assert_true(took(interrupted_pc + 1));
        shape_rbx(shape_trap, NULL);
        assert_int_equal(taken.flags, 0);
#endif
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
#ifdef __x86_64__
    assert_int_equal(handled, 8);
#endif
}

/* ---- other stacks --------------------------------------------------------------------------- */

static ucontext_t main_context, coroutine_context;

static void coroutine(void)
{
    for (;;) {
        shape_rbx(compare, NULL);
        shape_alloca(compare, NULL);
        swapcontext(&coroutine_context, &main_context);
    }
}

static void run_coroutine(void)
{
    const size_t size = 1 << 16;
    /* Between pages that cannot be read. */
    char *memory = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(mprotect(memory + 4096, size, PROT_READ | PROT_WRITE), 0);
    getcontext(&coroutine_context);
    coroutine_context.uc_stack.ss_sp = memory + 4096;
    coroutine_context.uc_stack.ss_size = size;
    makecontext(&coroutine_context, coroutine, 0);
    for (int i = 0; i < 3; i++)
        swapcontext(&main_context, &coroutine_context);
    munmap(memory, size + 8192);
}

static void *in_thread(void *unused)
{
    shape_plain(compare, NULL);
    recurse(20);
    assert_int_equal(taken.flags, 0);
    run_coroutine();
    shape_plain(compare, NULL);
    return NULL;
}

static void test_coroutine(void **state)
{
    run_coroutine();
    compare(NULL);
}

static void test_threads(void **state)
{
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setguardsize(&attributes, i % 2 ? 0 : 4096);
        pthread_attr_setstacksize(&attributes, (size_t)(i % 3 + 1) << 18);
        assert_int_equal(pthread_create(&thread, &attributes, in_thread, NULL), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
    }
}

struct depth {
    bool joined;
    size_t bytes;
};

/* How deep a capture with cold tables goes into the stack. */
static void *measure_depth(void *argument)
{
    enum { ROOM = 12000 };
    struct depth *depth = argument;
    uint32_t flags;
    probe_capture_joined(64, &flags); /* the loader needs stack to find it the first time */
    probe_forget();
    volatile unsigned char *low = (unsigned char *)__builtin_frame_address(0) - ROOM;
    for (int i = 0; i < ROOM - 512; i++)
        low[i] = 0xa5;
    if (depth->joined)
        probe_capture_joined(64, &flags);
    else
        probe_capture(64, &flags);
    size_t untouched = 0;
    while (untouched < ROOM && low[untouched] == 0xa5)
        untouched++;
    depth->bytes = ROOM - untouched;
    return NULL;
}

static void test_small_stack(void **state)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN + 8192);
    for (int joined = 0; joined < 2; joined++) {
        struct depth depth = {.joined = joined};
        assert_int_equal(pthread_create(&thread, &attributes, measure_depth, &depth), 0);
        pthread_join(thread, NULL);
        print_message("a %s capture uses %zu bytes of stack\n", joined ? "joined" : "full",
                      depth.bytes);
#ifndef __SANITIZE_ADDRESS__ /* which makes frames larger */
        assert_true(depth.bytes < 3 * 1024);
#endif
    }
    pthread_attr_destroy(&attributes);
}

static void test_longjmp(void **state)
{
    jmp_buf buffer;
    for (volatile int i = 0; i < 3; i++) {
        if (setjmp(buffer) == 0) {
            compare(NULL);
            longjmp(buffer, 1);
        }
        compare(NULL);
    }
}

static void test_forked_child(void **state)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        probe_forget();
        compare(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int prepare(void **state)
{
    return probe_init(STACK_WALKER_CFI) == STACK_WALKER_CFI ? 0 : -1;
}

static int prepare_libunwind(void **state)
{
    probe_forget();
    return probe_init(STACK_WALKER_LIBUNWIND) == STACK_WALKER_LIBUNWIND ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_through_libraries),
        cmocka_unit_test(test_limit),         cmocka_unit_test(test_same_stack_same_id),
        cmocka_unit_test(test_signal),        cmocka_unit_test(test_coroutine),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_small_stack),
        cmocka_unit_test(test_longjmp),       cmocka_unit_test(test_forked_child),
        cmocka_unit_test(test_errno_is_kept),
    };
    const struct CMUnitTest by_libunwind[] = {
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_through_libraries),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_same_stack_same_id),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_forked_child),
    };
    int failed = cmocka_run_group_tests_name("cfi", tests, prepare, NULL);
    return failed + cmocka_run_group_tests_name("libunwind", by_libunwind, prepare_libunwind, NULL);
}
