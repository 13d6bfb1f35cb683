/* SPDX-License-Identifier: MIT */
/*
 * test_interrupted.c - a signal handler came while this thread held locks: as if, by holding them.
 * Nothing may wait for its own thread, and nothing stay locked.
 */
#include "child.h"

#include <all_locks.h>
#include <heap.h>
#include <mtmalloc_api.h>
#include <oversize.h>
#include <stats.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#define CHILD_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        assert_child_returns(name);                                                                \
    }

static struct malloctap_lock_row row;

static struct mt_cache *cache_of(const void *p)
{
    return mt_head_of(p)->owner;
}

static bool is_held(struct mt_lock *lock)
{
    return atomic_load(&lock->state) == MT_LOCK_HELD;
}

static void check_all_free(void)
{
    MT_FOR_EACH_LIST(list)
    {
        CHECK(!is_held(&list->parent));
    }
    MT_FOR_EACH_CACHE(cache)
    {
        CHECK(!is_held(&cache->lock));
    }
    CHECK(!is_held(&mt_oversize_lock) && mt_thread.depth == 0);
}

/* ---- malloc and free ------------------------------------------------------------------------ */

static void another_list_serves(void)
{
    char *p = mtmalloc_malloc(100);
    struct mt_list *own = mt_thread.list;
    CHECK(mt_lock_acquire(&own->parent, &row));
    char *q = mtmalloc_malloc(100);
    CHECK(q != NULL && cache_of(q)->list != own);
    mtmalloc_free(q);
    mtmalloc_free(p);
    mt_lock_release(&own->parent);
    CHECK(mtmalloc_malloc(100) == p);
    check_all_free();
}
CHILD_TEST(another_list_serves)

static void another_cache_serves(void)
{
    char *p = mtmalloc_malloc(100);
    struct mt_cache *cache = cache_of(p);
    CHECK(mt_lock_acquire(&cache->lock, &row));
    char *q = mtmalloc_malloc(100);
    CHECK(q != NULL && cache_of(q) != cache && cache_of(q)->list == cache->list);
    mtmalloc_free(p); /* lost, for now */
    mt_lock_release(&cache->lock);
    mtmalloc_free(p);
    mtmalloc_free(q);
    check_all_free();
}
CHILD_TEST(another_cache_serves)

static void no_oversize(void)
{
    char *p = mtmalloc_malloc(1 << 20), *q = mtmalloc_malloc(100);
    CHECK(mt_lock_acquire(&mt_oversize_lock, &row));
    errno = 0;
    CHECK(mtmalloc_malloc(1 << 20) == NULL && errno == EAGAIN);
    errno = 0;
    CHECK(mtmalloc_malloc(5000) == NULL && errno == EAGAIN); /* needs a chunk */
    CHECK(mtmalloc_realloc(p, 70000) == p);
    mtmalloc_free(p);
    mtmalloc_free(q);
    mt_lock_release(&mt_oversize_lock);
    mtmalloc_free(p);
    CHECK(mtmalloc_malloc(5000) != NULL && mtmalloc_malloc(1 << 20) == p);
    check_all_free();
}
CHILD_TEST(no_oversize)

/* In the middle of publishing. */
static void no_statistics(void)
{
    void *p = mtmalloc_malloc(100);
    struct mt_totals *totals = &cache_of(p)->list->totals[cache_of(p)->size];
    CHECK(mt_lock_acquire(&totals->lock, &row));
    for (int i = 0; i < 10000; i++)
        mtmalloc_free(mtmalloc_malloc(100));
    mt_lock_release(&totals->lock);
    mtmalloc_free(p);
    check_all_free();
}
CHILD_TEST(no_statistics)

/* ---- fork ----------------------------------------------------------------------------------- */

/* What handlers of fork may do: blocks may not be had, but nothing hangs. */
static void use_all_sizes(void)
{
    for (size_t size = 16; size < 200000; size *= 2)
        mtmalloc_free(mtmalloc_malloc(size));
}

static void fork_while_held(struct mt_lock *lock)
{
    CHECK(mt_lock_acquire(lock, &row));
    mtmalloc_fork_prepare();
    use_all_sizes();
    pid_t pid = fork();
    if (pid == 0) {
        use_all_sizes();
        mtmalloc_fork_child();
        use_all_sizes();
        CHECK(is_held(lock));
    } else {
        mtmalloc_fork_parent();
    }
    CHECK(is_held(lock));
    mt_lock_release(lock);
    check_all_free();
    use_all_sizes();
    if (pid == 0)
        _exit(0);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void forks(void)
{
    void *p = mtmalloc_malloc(100);
    use_all_sizes();
    fork_while_held(&mt_thread.list->parent);
    fork_while_held(&cache_of(p)->lock);
    fork_while_held(&mt_oversize_lock);
}
CHILD_TEST(forks)

static void *idle(void *ready)
{
    use_all_sizes();
    atomic_store((atomic_bool *)ready, true);
    pause();
    return NULL;
}

/* With threads, locks are taken in another way. */
static void forks_with_threads(void)
{
    static atomic_bool ready;
    pthread_t id;
    CHECK(pthread_create(&id, NULL, idle, &ready) == 0);
    while (!atomic_load(&ready))
        sched_yield();
    forks();
}
CHILD_TEST(forks_with_threads)

static struct mt_cache *held_by_main;

static void *hold_parent_and_wait(void *argument)
{
    struct mt_list *list = held_by_main->list;
    CHECK(mt_lock_acquire(&list->parent, &row));
    CHECK(mt_lock_acquire(&held_by_main->lock, &row));
    mt_lock_release(&held_by_main->lock);
    mt_lock_release(&list->parent);
    return NULL;
}

/* The other thread waits for what this one was interrupted in: it must not wait for that thread. */
static void somebody_waits_for_us(void)
{
    pthread_t id;
    held_by_main = cache_of(mtmalloc_malloc(100));
    CHECK(mt_lock_acquire(&held_by_main->lock, &row));
    CHECK(pthread_create(&id, NULL, hold_parent_and_wait, NULL) == 0);
    while (!is_held(&held_by_main->list->parent))
        sched_yield();
    use_all_sizes();
    mtmalloc_fork_prepare();
    CHECK(!mt_thread.exclusive);
    use_all_sizes();
    mtmalloc_fork_parent();
    mt_lock_release(&held_by_main->lock);
    pthread_join(id, NULL);
    check_all_free();
    use_all_sizes();
}
CHILD_TEST(somebody_waits_for_us)

/* A handler forks while this thread is forking. */
static void forks_in_forks(void)
{
    use_all_sizes();
    mtmalloc_fork_prepare();
    mtmalloc_fork_prepare();
    CHECK(mt_thread.exclusive);
    mtmalloc_fork_parent();
    CHECK(mt_thread.exclusive && is_held(&mt_oversize_lock));
    use_all_sizes();
    mtmalloc_fork_parent();
    check_all_free();
}
CHILD_TEST(forks_in_forks)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_list_serves),
        cmocka_unit_test(test_another_cache_serves),
        cmocka_unit_test(test_no_oversize),
        cmocka_unit_test(test_no_statistics),
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_forks_with_threads),
        cmocka_unit_test(test_somebody_waits_for_us),
        cmocka_unit_test(test_forks_in_forks),
    };
    return cmocka_run_group_tests_name("mtmalloc-interrupted", tests, NULL, NULL);
}
