/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <sample/lives.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *address(uintptr_t number)
{
    return (void *)(0x10000 + number * LIVES_PLACE_BYTES);
}

static void what_is_added_is_taken_once(void **state)
{
    (void)state;
    struct life life = {123, 4.5, 6, 7}, got;
    assert_false(lives_maybe(address(1)));
    assert_false(lives_take(address(1), &got));
    assert_true(lives_add(address(1), &life));
    assert_true(lives_maybe(address(1)));
    assert_true(lives_take(address(1), &got));
    assert_int_equal(got.size, 123);
    assert_true(got.weight == 4.5);
    assert_int_equal(got.ticks, 6);
    assert_int_equal(got.stack, 7);
    assert_false(lives_take(address(1), &got));
    assert_false(lives_maybe(address(1)));
}

static void marked_places_stay(void **state)
{
    (void)state;
    struct life life = {.size = 1};
    lives_mark(address(70), 2 * LIVES_PLACE_BYTES + 8);
    for (uintptr_t i = 70; i < 73; i++) {
        assert_true(lives_maybe(address(i)));
        assert_true(lives_add(address(i), &life) && lives_take(address(i), &life));
        assert_true(lives_maybe(address(i)));
        assert_false(lives_take(address(i), &life));
    }
    assert_false(lives_maybe(address(73)));
}

/* A full table refuses, forgets nothing that it took, and the filter never misses. */
static void full(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    bool *held = calloc(MANY, sizeof *held);
    unsigned count = 0;
    for (uintptr_t i = 0; i < MANY; i++) {
        struct life life = {.size = i};
        held[i] = lives_add(address(i), &life);
        count += held[i];
    }
    assert_true(count > 25000 && count < MANY);
    for (uintptr_t i = 0; i < MANY; i++) {
        struct life got;
        assert_true(!held[i] || lives_maybe(address(i)));
        assert_int_equal(lives_take(address(i), &got), held[i]);
        assert_true(!held[i] || got.size == i);
    }
    free(held);
}

static void *churn(void *start)
{
    unsigned wrong = 0;
    for (uintptr_t i = 0; i < 300000; i++) {
        uintptr_t number = (uintptr_t)start + i % 500;
        struct life life = {.size = number}, got = {0};
        if (lives_add(address(number), &life))
            wrong += !lives_maybe(address(number)) || !lives_take(address(number), &got) ||
                     got.size != number;
    }
    return (void *)(uintptr_t)wrong;
}

static void threads_do_not_see_each_others(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, churn, (void *)(i * 1000));
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

static void a_fork_child_begins_empty(void **state)
{
    (void)state;
    struct life life = {.size = 1};
    assert_true(lives_wipe_on_fork());
    assert_true(lives_add(address(9), &life));
    pid_t child = fork();
    if (child == 0) {
        struct life got;
        _exit(lives_maybe(address(9)) || lives_take(address(9), &got));
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(lives_take(address(9), &life));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_taken_once),
        cmocka_unit_test(marked_places_stay),
        cmocka_unit_test(full),
        cmocka_unit_test(threads_do_not_see_each_others),
        cmocka_unit_test(a_fork_child_begins_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
