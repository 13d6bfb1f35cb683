/* SPDX-License-Identifier: MIT */
/* test_lock.c - the lock under load, with and without the barrier that wakes depend on. Links with
 * --wrap=mt_os_barrier. */
#include "child.h"

#include <lock.h>
#include <os.h>

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

bool __real_mt_os_barrier(void);
bool __wrap_mt_os_barrier(void);

static bool no_barrier;

bool __wrap_mt_os_barrier(void)
{
    return !no_barrier && __real_mt_os_barrier();
}

enum { THREADS = 6, ROUNDS = 20000 };

static struct mt_lock lock;
static struct malloctap_lock_row row;
static uint64_t plain; /* guarded by the lock alone */

static void *count(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        mt_lock_acquire(&lock, &row);
        plain++;
        if (i % 64 == 0) /* lose the processor while others wait */
            sched_yield();
        mt_lock_release(&lock);
    }
    return NULL;
}

static void contend(void)
{
    pthread_t ids[THREADS];
    mt_os_barrier_prepare();
    CHECK(mt_lock_acquire(&lock, &row));
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&ids[i], NULL, count, NULL) == 0);
    while (atomic_load(&lock.sleepers) == 0)
        sched_yield();
    mt_lock_release(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    CHECK(plain == (uint64_t)THREADS * ROUNDS);
    CHECK(lock.state == 0 && lock.sleepers == 0);
    CHECK(row.contended > 0 && row.wait_ns >= row.wait_max_ns);
}

static void test_contended(void **state)
{
    assert_child_returns(contend);
}

static void test_without_barrier(void **state)
{
    no_barrier = true;
    assert_child_returns(contend);
    no_barrier = false;
}

static void *wait_for_myself(void *argument)
{
    CHECK(mt_lock_acquire(&lock, &row));
    CHECK(mt_lock_is_mine(&lock));
    CHECK(!mt_lock_acquire(&lock, &row));
    mt_lock_release(&lock);
    CHECK(!mt_lock_is_mine(&lock));
    return NULL;
}

/* As a signal handler that interrupted what the holder may be waiting for. */
static void *give_up(void *argument)
{
    struct mt_lock later = {.rank = lock.rank + 1};
    CHECK(mt_lock_acquire(&later, &row));
    CHECK(!mt_lock_is_mine(&lock));
    CHECK(!mt_lock_acquire(&lock, &row));
    mt_lock_release(&later);
    return argument;
}

/* A thread never waits for itself, nor in vain for others. */
static void no_deadlock(void)
{
    pthread_t id;
    CHECK(pthread_create(&id, NULL, wait_for_myself, NULL) == 0);
    pthread_join(id, NULL);
    CHECK(lock.state == 0 && lock.sleepers == 0);
    CHECK(mt_lock_acquire(&lock, &row));
    CHECK(!mt_lock_acquire(&lock, &row));
    CHECK(pthread_create(&id, NULL, give_up, NULL) == 0);
    pthread_join(id, NULL);
    mt_lock_release(&lock);
    CHECK(lock.state == 0 && lock.sleepers == 0);
}

static void test_no_deadlock(void **state)
{
    assert_child_returns(no_deadlock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contended),
        cmocka_unit_test(test_without_barrier),
        cmocka_unit_test(test_no_deadlock),
    };
    return cmocka_run_group_tests_name("mtmalloc-lock", tests, NULL, NULL);
}
