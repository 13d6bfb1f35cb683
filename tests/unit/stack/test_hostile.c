/* SPDX-License-Identifier: MIT */
/* test_hostile.c - stacks that make no sense end a walk; they never fault. */
#include "reference.h"
#include "shapes.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static struct probe_stack taken;
static char not_code[64] = "data";

static void take(void *unused)
{
    probe_take(64, &taken);
    assert_int_not_equal(taken.id, 0);
    assert_true(taken.count >= 2);
    __asm__ volatile("" ::: "memory");
}

#ifdef __x86_64__

static void take_two(void *unused)
{
    probe_take(2, &taken);
    __asm__ volatile("" ::: "memory");
}

static uintptr_t unreadable_page(void)
{
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory + 4096, 4096, PROT_NONE);
    return (uintptr_t)memory + 4096;
}

static void test_frame_pointers(void **state)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), edge = unreadable_page();
    const uintptr_t wrong[] = {
        1,
        8,
        UINTPTR_MAX,
        UINTPTR_MAX - 7,
        (uintptr_t)1 << 63,
        0x7ffffffff000,
        (uintptr_t)not_code,
        edge,
        edge - 8,
        here + 1,
        here + (1u << 30),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uintptr_t value = wrong[i];
        shape_bogus_frame_pointer(take, &value);
        assert_true(taken.flags & MALLOCTAP_STACK_TRUNCATED);
    }
    /* Anywhere on this stack: what is read there may be anything. */
    for (uintptr_t value = here - 256; value < here + 1024; value += 8)
        shape_bogus_frame_pointer(take, &value);
    uintptr_t none = 0;
    shape_bogus_frame_pointer(take, &none);
    assert_int_equal(taken.flags, 0); /* marked as the first frame */
}

/* Described, as those of nearly all code are; from the second time on that is remembered. */
static void test_described_frame_pointers(void **state)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), edge = unreadable_page();
    const uintptr_t wrong[] = {0,    1,        8,           16,      UINTPTR_MAX, UINTPTR_MAX - 15,
                               edge, edge - 8, here - 4096, here + 1};
    for (size_t i = 0; i < 2 * sizeof(wrong) / sizeof(wrong[0]); i++) {
        uintptr_t value = wrong[i / 2];
        shape_lying_frame_pointer(take, &value);
        assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
        assert_int_equal(taken.count, 2);
    }
    /* Anywhere on this stack: what is read there may be anything. */
    for (uintptr_t value = here - 256; value < here + 1024; value += 8)
        shape_lying_frame_pointer(take, &value);
}

/* Frame pointers that form loops or lead into the middle of frames: any stack will do as long as
 * it ends. */
static void test_frame_pointer_chains(void **state)
{
    uintptr_t words[64];
    for (size_t shift = 0; shift < 16; shift++) {
        for (size_t i = 0; i < 64; i++)
            words[i] = (uintptr_t)&words[(i * 7 + shift) % 64];
        uintptr_t value = (uintptr_t)&words[shift];
        shape_bogus_frame_pointer(take, &value);
    }
}

static void test_return_addresses(void **state)
{
    const uintptr_t wrong[] = {
        1, 4095, UINTPTR_MAX, (uintptr_t)1 << 63, (uintptr_t)1 << 48, (uintptr_t)not_code,
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uintptr_t value = wrong[i];
        shape_bogus_return(take, &value);
        assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
        assert_int_equal(taken.count, 2);
        shape_bogus_return(take_two, &value); /* what is no frame is not one too many either */
        assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
    }
    uintptr_t none = 0;
    shape_bogus_return(take, &none);
    assert_int_equal(taken.flags, 0);
    assert_int_equal(taken.count, 2);
}

static void test_lying_tables(void **state)
{
    shape_lying_much(take, NULL);
    assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
    assert_int_equal(taken.count, 2);
    shape_standing_still(take, NULL);
    assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
    assert_int_equal(taken.count, 2);
}

typedef void generated(void (*callee)(void *), void *argument);

static generated *generate(const unsigned char *code, size_t size)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(memory, code, size);
    mprotect(memory, 4096, PROT_READ | PROT_EXEC);
    return (generated *)memory;
}

static void compare(void *unused)
{
    REFERENCE_AGREES(&taken);
    assert_int_equal(taken.flags, 0);
}

static void test_generated_code(void **state)
{
    /* push rbp; mov rbp, rsp; mov rax, rdi; mov rdi, rsi; call rax; pop rbp; ret */
    const unsigned char with_frame_pointer[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8,
                                                0x48, 0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3};
    /* sub rsp, 8; mov rax, rdi; mov rdi, rsi; call rax; add rsp, 8; ret */
    const unsigned char without[] = {0x48, 0x83, 0xec, 0x08, 0x48, 0x89, 0xf8, 0x48, 0x89,
                                     0xf7, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3};
    generated *good = generate(with_frame_pointer, sizeof(with_frame_pointer));
    good(compare, NULL);
    assert_int_equal(taken.modules[1], 0);
    assert_true(taken.pcs[1] - (uintptr_t)good < 4096);
    generated *bad = generate(without, sizeof(without));
    bad(take, NULL);
    assert_true(taken.pcs[1] - (uintptr_t)bad < 4096);
}

/* A stack that is walked to its last readable word, and on. */
static ucontext_t main_context, edge_context;

static void on_edge(void)
{
    uintptr_t far = (uintptr_t)__builtin_frame_address(0) + 4096;
    far &= ~(uintptr_t)4095;
    for (uintptr_t value = far - 64; value < far + 64; value += 8)
        shape_bogus_frame_pointer(take, &value);
    shape_lying_much(take, NULL);
}

static void test_edge_of_stack(void **state)
{
    const size_t room = 16 * 4096;
    char *stack = mmap(NULL, room + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, room, PROT_READ | PROT_WRITE);
    getcontext(&edge_context);
    edge_context.uc_stack.ss_sp = stack;
    edge_context.uc_stack.ss_size = room;
    edge_context.uc_link = &main_context;
    makecontext(&edge_context, on_edge, 0);
    swapcontext(&main_context, &edge_context);
}

/* Where the tables point there is no stack any more; from the second time on that is remembered. */
static void *lie_in_thread(void *unused)
{
    for (volatile int i = 0; i < 3; i++) {
        shape_lying(take, NULL);
        assert_int_equal(taken.flags, MALLOCTAP_STACK_TRUNCATED);
        assert_int_equal(taken.count, 2);
    }
    return NULL;
}

static void test_end_of_a_threads_stack(void **state)
{
    const size_t room = 1 << 17, guard = 1 << 20;
    char *stack = mmap(NULL, room + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, room, PROT_READ | PROT_WRITE);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, room), 0);
    assert_int_equal(pthread_create(&thread, &attributes, lie_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    munmap(stack, room + guard);
}

#endif

static int prepare(void **state)
{
    return probe_init(STACK_WALKER_CFI) == STACK_WALKER_CFI ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef __x86_64__
        cmocka_unit_test(test_frame_pointers),
        cmocka_unit_test(test_frame_pointer_chains),
        cmocka_unit_test(test_described_frame_pointers),
        cmocka_unit_test(test_return_addresses),
        cmocka_unit_test(test_lying_tables),
        cmocka_unit_test(test_generated_code),
        cmocka_unit_test(test_edge_of_stack),
        cmocka_unit_test(test_end_of_a_threads_stack),
#endif
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
