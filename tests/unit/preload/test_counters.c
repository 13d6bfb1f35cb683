/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <thread/thread.h>
#include <recording/tid.h>

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct thread thread_none;
_Thread_local struct thread_storage thread_storage;

static void size_class_is_the_bit_width(void **state)
{
    (void)state;
    size_class_prepare();
    assert_int_equal(size_class(0), 0);
    for (unsigned width = 1; width <= 63; width++) {
        size_t least = (size_t)1 << (width - 1);
        assert_int_equal(size_class(least), width);
        assert_int_equal(size_class(least | (least - 1)), width);
    }
}

static void unknown_threads_always_take_the_slow_path(void **state)
{
    (void)state;
    assert_ptr_equal(thread_current(), &thread_none);
    assert_false(thread_spend(thread_current(), 0));
    assert_false(thread_spend(thread_current(), 1));
    assert_false(thread_spend(thread_current(), SIZE_MAX));
}

static void spending_is_exact(void **state)
{
    (void)state;
    struct thread thread = {.limit = 100, .call_units = 10};
    assert_true(thread_spend(&thread, 79));
    assert_int_equal(thread.spent, 89);
    assert_false(thread_spend(&thread, 1)); /* a distance d is reached by a cost of d */
    assert_int_equal(thread.spent, 89);
    assert_true(thread_spend(&thread, 0));
    assert_int_equal(thread.spent, 99);
    assert_false(thread_spend(&thread, 0));
}

static void limits_of_a_wiped_state_cannot_be_changed(void **state)
{
    (void)state;
    struct thread thread = {.limit = LIMIT_NEVER};
    assert_true(thread_change_limit(&thread, LIMIT_NEVER, 7));
    thread.limit = LIMIT_UNKNOWN;
    assert_false(thread_change_limit(&thread, LIMIT_NEVER, 7));
    assert_int_equal(thread.limit, LIMIT_UNKNOWN);
}

static void failures_count_as_calls_but_not_with_their_bytes(void **state)
{
    (void)state;
    struct malloctap_counters counters = {0};
    count_alloc(&counters, MALLOCTAP_OP_MALLOC, 100);
    count_alloc(&counters, MALLOCTAP_OP_MALLOC, SIZE_MAX);
    count_failure(&counters, MALLOCTAP_OP_MALLOC, SIZE_MAX);
    assert_int_equal(counters.calls[MALLOCTAP_OP_MALLOC][7], 1);
    assert_int_equal(counters.calls[MALLOCTAP_OP_MALLOC][64], 1);
    assert_int_equal(counters.failed[MALLOCTAP_OP_MALLOC], 1);
    assert_int_equal(counters.bytes[MALLOCTAP_OP_MALLOC], 100);
}

static void *check_tid(void *unused)
{
    return (void *)(uintptr_t)(tid_current() == (uint32_t)syscall(SYS_gettid));
}

static void tid_without_asking(void **state)
{
    (void)state;
    tid_init();
    assert_true(check_tid(NULL) != NULL);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        void *right;
        assert_int_equal(pthread_create(&thread, NULL, check_tid, NULL), 0);
        pthread_join(thread, &right);
        assert_non_null(right);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_class_is_the_bit_width),
        cmocka_unit_test(unknown_threads_always_take_the_slow_path),
        cmocka_unit_test(spending_is_exact),
        cmocka_unit_test(limits_of_a_wiped_state_cannot_be_changed),
        cmocka_unit_test(failures_count_as_calls_but_not_with_their_bytes),
        cmocka_unit_test(tid_without_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
