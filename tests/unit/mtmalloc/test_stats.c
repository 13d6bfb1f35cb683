/* SPDX-License-Identifier: MIT */
/* test_stats.c - locks are counted exactly, and never into a parent's recording. */
#include "child.h"

#include <mtmalloc_api.h>
#include <stats.h>

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { ROWS = 15000 }; /* for 1000 lists */
static struct malloctap_lock_row snapshot[ROWS];

/* Sum of the rows of one kind; buffer_size 0 and list -1: all. */
static struct malloctap_lock_row sum_of(const struct malloctap_lock_row *rows, size_t count,
                                        uint32_t kind, uint32_t buffer_size, int list)
{
    struct malloctap_lock_row sum = {0};
    for (size_t i = 0; i < count; i++) {
        const struct malloctap_lock_row *row = &rows[i];
        if (row->kind != kind || (buffer_size != 0 && row->buffer_size != buffer_size) ||
            (list >= 0 && row->list != (uint32_t)list))
            continue;
        sum.caches += row->caches;
        sum.acquisitions += row->acquisitions;
        sum.contended += row->contended;
        sum.wait_ns += row->wait_ns;
        sum.held_bytes += row->held_bytes;
        sum.buffers += row->buffers;
        sum.in_use += row->in_use;
        sum.in_use_bytes += row->in_use_bytes;
        sum.requested_bytes += row->requested_bytes;
    }
    return sum;
}

static struct malloctap_lock_row now(uint32_t kind, uint32_t buffer_size, int list)
{
    return sum_of(snapshot, mtmalloc_stats_snapshot(snapshot, ROWS), kind, buffer_size, list);
}

/* ---- what is counted ------------------------------------------------------------------------ */

static void one_thread(void)
{
    void *live[100];
    for (int i = 0; i < 100; i++)
        live[i] = mtmalloc_malloc(50);
    for (int i = 0; i < 40; i++)
        mtmalloc_free(live[i]);
    struct malloctap_lock_row parent = now(MALLOCTAP_LOCK_PARENT, 0, 0);
    struct malloctap_lock_row cache = now(MALLOCTAP_LOCK_CACHE, 64, 0);
    CHECK(parent.acquisitions == 100 && cache.acquisitions == 140 && cache.caches == 1);
    CHECK(parent.contended == 0 && cache.contended == 0 && cache.wait_ns == 0);
    CHECK(cache.in_use == 60 && cache.in_use_bytes == 60 * 64 && cache.requested_bytes == 60 * 50);
    CHECK(cache.held_bytes == 9 * 8192 && cache.buffers > 800 && cache.buffers < 9 * 8192 / 80);

    void *p = mtmalloc_malloc(100000);
    void *q = mtmalloc_malloc(300000);
    mtmalloc_free(p);
    struct malloctap_lock_row oversize = now(MALLOCTAP_LOCK_OVERSIZE, 0, -1);
    CHECK(oversize.acquisitions == 4); /* one of them for the chunk of the cache */
    CHECK(oversize.in_use == 1 && oversize.buffers == 2 && oversize.requested_bytes == 300000);
    CHECK(oversize.in_use_bytes >= 300000 && oversize.in_use_bytes < 310000);
    CHECK(oversize.held_bytes >= 400000 && oversize.held_bytes < 420000);
    mtmalloc_free(q);
    oversize = now(MALLOCTAP_LOCK_OVERSIZE, 0, -1);
    CHECK(oversize.in_use == 0 && oversize.in_use_bytes == 0 && oversize.requested_bytes == 0);
    CHECK(oversize.buffers == 1);
}

enum { THREADS = 4, PAIRS = 50000 };

static void *hammer(void *argument)
{
    for (int i = 0; i < PAIRS; i++)
        mtmalloc_free(mtmalloc_malloc(i % 500 + 1));
    return NULL;
}

static void run_hammers(void)
{
    pthread_t ids[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&ids[i], NULL, hammer, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

static void many_threads(void)
{
    (void)mtmalloc_malloc(1);
    run_hammers();
    struct malloctap_lock_row parent = now(MALLOCTAP_LOCK_PARENT, 0, -1);
    struct malloctap_lock_row cache = now(MALLOCTAP_LOCK_CACHE, 0, -1);
    CHECK(parent.acquisitions == THREADS * PAIRS + 1);
    CHECK(cache.acquisitions == 2 * THREADS * PAIRS + 1);
    CHECK(cache.in_use == 1 && cache.requested_bytes == 1);
}

/* 64 KiB buffers, of which a cache has one. */
static void many_caches(void)
{
    enum { COUNT = 3000 };
    static void *live[COUNT];
    for (int i = 0; i < COUNT; i++)
        live[i] = mtmalloc_malloc(65000);
    struct malloctap_lock_row cache = now(MALLOCTAP_LOCK_CACHE, 65536, 0);
    CHECK(cache.caches == COUNT && cache.buffers == COUNT && cache.in_use == COUNT);
    CHECK(cache.held_bytes == (uint64_t)COUNT * 9 * 8192);
    CHECK(cache.requested_bytes == (uint64_t)COUNT * 65000);
    uint64_t before = cache.acquisitions;
    CHECK(before < 3 * COUNT); /* full ones are not looked at again and again */
    for (int i = 0; i < COUNT; i++)
        mtmalloc_free(live[i]);
    cache = now(MALLOCTAP_LOCK_CACHE, 65536, 0);
    CHECK(cache.acquisitions == before + COUNT && cache.in_use == 0 && cache.requested_bytes == 0);
    CHECK(mtmalloc_stats_snapshot(snapshot, ROWS) <= mtmalloc_stats_rows());
}

static void *wait_for_lock(void *lock)
{
    static struct malloctap_lock_row row;
    mt_lock_acquire(lock, &row);
    mt_lock_release(lock);
    return &row;
}

static void waits_are_timed(void)
{
    struct mt_lock lock = {0};
    struct malloctap_lock_row mine = {0}, *other;
    pthread_t id;
    mt_lock_acquire(&lock, &mine);
    CHECK(pthread_create(&id, NULL, wait_for_lock, &lock) == 0);
    usleep(50000);
    mt_lock_release(&lock);
    pthread_join(id, (void **)&other);
    CHECK(mine.contended == 0 && mine.wait_ns == 0);
    CHECK(other->contended == 1 && other->wait_ns > 1000000 && other->wait_ns < 5000000000);
    CHECK(other->wait_max_ns == other->wait_ns);
}

/* ---- where it goes ---------------------------------------------------------------------- */

static struct malloctap_lock_row *_Atomic *where;
static struct malloctap_lock_row *shared_array(void)
{
    return mmap(NULL, ROWS * sizeof *snapshot, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
}

static void attach(struct malloctap_lock_row *rows)
{
    where = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(madvise(where, 4096, MADV_WIPEONFORK) == 0);
    *where = rows;
    CHECK(mtmalloc_stats_rows() <= ROWS);
    mtmalloc_stats_attach(where);
}

static void what_was_counted_before_moves(void)
{
    for (int i = 0; i < 10; i++)
        (void)mtmalloc_malloc(30);
    struct malloctap_lock_row *rows = shared_array();
    attach(rows);
    CHECK(sum_of(rows, ROWS, MALLOCTAP_LOCK_CACHE, 32, 0).acquisitions == 10);
    mtmalloc_free(mtmalloc_malloc(30));
    mtmalloc_stats_publish();
    struct malloctap_lock_row cache = sum_of(rows, ROWS, MALLOCTAP_LOCK_CACHE, 32, 0);
    CHECK(cache.acquisitions == 12 && cache.in_use == 10 && cache.requested_bytes == 300);
    CHECK(now(MALLOCTAP_LOCK_CACHE, 32, 0).acquisitions == 12);
}

/* In a child: must not write to the parent's array, and may be given one of its own. */
static void use_in_child(const struct malloctap_lock_row *parents, struct malloctap_lock_row *own)
{
    static struct malloctap_lock_row before[ROWS];
    memcpy(before, parents, sizeof before);
    void *p = mtmalloc_malloc(30);
    mtmalloc_free(mtmalloc_malloc(200000));
    mtmalloc_stats_publish();
    CHECK(memcmp(before, parents, sizeof before) == 0);
    *where = own;
    mtmalloc_free(p);
    mtmalloc_free(mtmalloc_malloc(200000));
    mtmalloc_stats_publish();
    CHECK(memcmp(before, parents, sizeof before) == 0);
    struct malloctap_lock_row cache = sum_of(own, ROWS, MALLOCTAP_LOCK_CACHE, 32, 0);
    CHECK(cache.acquisitions == 1 && cache.in_use == 10 && cache.requested_bytes == 300);
    CHECK(cache.caches == 1 && cache.held_bytes == 9 * 8192 && cache.buffers > 1000);
    CHECK(sum_of(own, ROWS, MALLOCTAP_LOCK_OVERSIZE, 0, -1).acquisitions == 2);
}

static void children_count_apart(void)
{
    struct malloctap_lock_row *rows = shared_array(), *own = shared_array();
    attach(rows);
    for (int i = 0; i < 10; i++)
        (void)mtmalloc_malloc(30);
    mtmalloc_fork_prepare();
    pid_t pid = fork();
    if (pid == 0) {
        mtmalloc_fork_child();
        use_in_child(rows, own);
        _exit(0);
    }
    mtmalloc_fork_parent();
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(sum_of(rows, ROWS, MALLOCTAP_LOCK_CACHE, 32, 0).acquisitions == 10);

    /* Without anybody being told. */
    memset(own, 0, ROWS * sizeof *own);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        use_in_child(rows, own);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    (void)mtmalloc_malloc(30);
    mtmalloc_stats_publish();
    CHECK(sum_of(rows, ROWS, MALLOCTAP_LOCK_CACHE, 32, 0).acquisitions == 11);
}

static void child_without_recording(void)
{
    for (int i = 0; i < 1000; i++)
        (void)mtmalloc_malloc(30);
    mtmalloc_fork_prepare();
    pid_t pid = fork();
    if (pid == 0) {
        mtmalloc_fork_child();
        (void)mtmalloc_malloc(30);
        struct malloctap_lock_row cache = now(MALLOCTAP_LOCK_CACHE, 32, 0);
        CHECK(cache.acquisitions == 1 && cache.in_use == 1001);
        _exit(0);
    }
    mtmalloc_fork_parent();
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(now(MALLOCTAP_LOCK_CACHE, 32, 0).acquisitions == 1000);
}

/* What a killed process leaves lags, but not by more than it may. */
static void killed(void)
{
    struct malloctap_lock_row *rows = shared_array();
    pid_t pid = fork();
    if (pid == 0) {
        attach(rows);
        for (int i = 0; i < 50; i++)
            (void)mtmalloc_malloc(1000);
        run_hammers();
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
    struct malloctap_lock_row parent = sum_of(rows, ROWS, MALLOCTAP_LOCK_PARENT, 0, -1);
    struct malloctap_lock_row cache = sum_of(rows, ROWS, MALLOCTAP_LOCK_CACHE, 0, -1);
    uint64_t taken = THREADS * PAIRS + 50, returned = THREADS * PAIRS;
    uint64_t lag = cache.caches * MT_STATS_EVERY;
    CHECK(parent.acquisitions <= taken && parent.acquisitions > taken - lag);
    CHECK(cache.acquisitions <= taken + returned);
    CHECK(cache.acquisitions > taken + returned - 2 * lag);
}

/* Also where there was little: a short program, killed or gone by exec. */
static void killed_early(void)
{
    for (int count = 1; count < 300; count = count * 3 + 1) {
        struct malloctap_lock_row *rows = shared_array();
        pid_t pid = fork();
        if (pid == 0) {
            attach(rows);
            for (int i = 0; i < count; i++)
                (void)mtmalloc_malloc(30);
            kill(getpid(), SIGKILL);
        }
        waitpid(pid, NULL, 0);
        struct malloctap_lock_row cache = sum_of(rows, ROWS, MALLOCTAP_LOCK_CACHE, 32, 0);
        CHECK(cache.caches == 1 && cache.in_use == cache.acquisitions);
        CHECK(cache.acquisitions <= (uint64_t)count && 2 * cache.acquisitions >= (uint64_t)count);
    }
}

/* A lock that is never released does not keep a process from ending. */
static void publishing_does_not_wait(void)
{
    void *p = mtmalloc_malloc(30);
    (void)mtmalloc_malloc(3000);
    struct mt_cache *cache = mt_head_of(p)->owner;
    mt_lock_acquire(&cache->lock, mt_stats_cache_row(cache));
    mtmalloc_stats_publish();
    mt_lock_acquire(&cache->list->parent, mt_stats_parent_row(cache->list));
    mtmalloc_stats_publish();
}

#define CHILD_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        assert_child_returns(name);                                                                \
    }
CHILD_TEST(one_thread)
CHILD_TEST(many_threads)
CHILD_TEST(many_caches)
CHILD_TEST(waits_are_timed)
CHILD_TEST(what_was_counted_before_moves)
CHILD_TEST(children_count_apart)
CHILD_TEST(child_without_recording)
CHILD_TEST(killed)
CHILD_TEST(killed_early)
CHILD_TEST(publishing_does_not_wait)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_many_caches),
        cmocka_unit_test(test_waits_are_timed),
        cmocka_unit_test(test_what_was_counted_before_moves),
        cmocka_unit_test(test_children_count_apart),
        cmocka_unit_test(test_child_without_recording),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_killed_early),
        cmocka_unit_test(test_publishing_does_not_wait),
    };
    return cmocka_run_group_tests_name("mtmalloc-stats", tests, NULL, NULL);
}
