/* SPDX-License-Identifier: MIT */
/*
 * all_locks.c - every lock at once: for fork, so that the child finds a heap that nobody was
 * changing, and for statistics, which are then of one moment.
 *
 * These acquisitions are not counted: they are not the program's.
 */
#include "all_locks.h"

#include "heap.h"
#include "mtmalloc_api.h"
#include "oversize.h"
#include "repair.h"
#include "stats.h"

#include <wiped.h>

#include <errno.h>
#include <sys/stat.h>

/* ---- acquire and release ------------------------------------------------------------------ */

static bool take(struct mt_lock *lock, struct malloctap_lock_row *row)
{
    uint64_t counts;
    if (mt_lock_try(lock, mt_thread.depth, &counts))
        lock->counts = counts;
    else if (!mt_lock_wait(lock, row))
        return false;
    atomic_store_explicit(&lock->among_all, &mt_thread, memory_order_relaxed);
    mt_thread.depth--;
    return true;
}

/* Parent locks first: while they are held, no cache is added. */
void mt_all_locks_acquire(void)
{
    if (mt_thread.all_locks++ > 0)
        return;
    bool all = true;
    MT_FOR_EACH_LIST(list)
    {
        all &= take(&list->parent, mt_stats_parent_row(list));
    }
    MT_FOR_EACH_CACHE(cache)
    {
        all &= take(&cache->lock, mt_stats_cache_row(cache));
    }
    all &= take(&mt_oversize_lock, mt_stats_oversize_row());
    atomic_signal_fence(memory_order_seq_cst);
    mt_thread.exclusive = all;
}

/* Parent locks last, for the same reason. */
static void for_each_lock(void (*visit)(struct mt_lock *lock))
{
    visit(&mt_oversize_lock);
    MT_FOR_EACH_CACHE(cache)
    {
        visit(&cache->lock);
    }
    MT_FOR_EACH_LIST(list)
    {
        visit(&list->parent);
    }
}

static void release(struct mt_lock *lock)
{
    if (atomic_load_explicit(&lock->among_all, memory_order_relaxed) != &mt_thread)
        return;
    atomic_store_explicit(&lock->among_all, NULL, memory_order_relaxed);
    if (mt_lock_open(lock, lock->counts))
        mt_lock_wake(lock);
}

void mt_all_locks_release(void)
{
    if (mt_thread.all_locks > 1) {
        mt_thread.all_locks--;
        return;
    }
    mt_thread.exclusive = false;
    atomic_signal_fence(memory_order_seq_cst);
    for_each_lock(release);
    mt_thread.all_locks = 0;
}

/* ---- copies of the process ---------------------------------------------------------------- */

/* Wiped in every copy of the process, whoever made it. */
static struct {
    _Atomic bool known;
} WIPED process;

static _Atomic bool wipes;

static void know_process(void)
{
    atomic_store_explicit(&process.known, true, memory_order_relaxed);
}

static bool is_copy(void)
{
    /* Acquire: pairs with the release below; who sees that it is wiped sees it known. */
    return atomic_load_explicit(&wipes, memory_order_acquire) &&
           !atomic_load_explicit(&process.known, memory_order_relaxed);
}

void mt_all_locks_init(void)
{
    know_process();
    bool wiped = wipe_on_fork(&process, sizeof process);
    atomic_store_explicit(&wipes, wiped, memory_order_release);
}

/* A directory has a link for each directory in it, and two of its own. */
static bool is_only_thread(void)
{
    int error = errno;
    struct stat task;
    bool only = stat("/proc/self/task", &task) != 0 || task.st_nlink <= 3;
    errno = error;
    return only;
}

bool mt_all_locks_copied(void)
{
    if (likely(!is_copy()) || !is_only_thread())
        return false;
    know_process();
    mt_repair();
    return true;
}

/* ---- fork -------------------------------------------------------------------------------- */

/*
 * glibc's lock of the list of all streams, which its fork() takes after our handlers: a thread may
 * hold it, in fflush(NULL), and wait for a stream whose owner allocates. So it comes before our
 * locks. It may be taken twice. In a child that had several threads glibc opens it, before our
 * handlers.
 */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));

static void lock_streams(void)
{
    if (mt_lock_alone() || _IO_list_lock == NULL || _IO_list_unlock == NULL)
        return;
    _IO_list_lock();
    mt_thread.streams++;
}

static void unlock_streams(void)
{
    if (mt_thread.streams == 0)
        return;
    mt_thread.streams--;
    _IO_list_unlock();
}

/* Without memory for a heap there is nothing to lock. */
void mtmalloc_fork_prepare(void)
{
    if (!mt_heap_ready())
        return;
    lock_streams();
    mt_all_locks_acquire();
    mt_stats_publish_all(); /* so that nothing of the parent's is left for the child to publish */
}

void mtmalloc_fork_parent(void)
{
    if (mt_thread.all_locks > 0)
        mt_all_locks_release();
    unlock_streams();
}

static void forget_sleepers(struct mt_lock *lock)
{
    atomic_store_explicit(&lock->sleepers, 0, memory_order_relaxed);
}

void mtmalloc_fork_child(void)
{
    mt_thread.streams = 0;
    if (mt_thread.all_locks == 0)
        return;
    know_process();
    for_each_lock(forget_sleepers);
    if (mt_thread.exclusive)
        mt_stats_forget();
    else
        mt_repair();
    mt_all_locks_release();
}
