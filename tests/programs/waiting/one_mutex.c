/* SPDX-License-Identifier: MIT */
/*
 * one_mutex - an allocator with a single lock that knows exactly how long it was waited for.
 *
 * libc's allocator, behind one mutex around every call. An acquisition that does not get the lock
 * at once is timed. A program that wants to know where the waiting happened names its place with
 * one_mutex_site() (see waiters.c); the sums by place are appended to the file that ONE_MUTEX_TRUTH
 * names when the process ends. ONE_MUTEX_HOLD_NS makes each call keep the lock longer. For use
 * behind the tap: malloctap run -b /path/libone_mutex.so.
 */
#include "one_mutex.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct {
    unsigned long acquisitions, contended, wait_ns;
    unsigned long slept, slept_ns; /* of the contended ones, those for which the thread slept */
} sites[ONE_MUTEX_SITES];

static _Thread_local unsigned site;
static _Thread_local struct {
    uint64_t ns; /* 0: it got the lock at once */
    long switches;
} waited;

void one_mutex_site(unsigned number)
{
    site = number % ONE_MUTEX_SITES;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long voluntary_switches(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

static void lock(void)
{
    if (pthread_mutex_trylock(&mutex) == 0)
        return;
    waited.switches = voluntary_switches();
    uint64_t start = now_ns();
    pthread_mutex_lock(&mutex);
    waited.ns = now_ns() - start;
}

/* How long each call keeps the lock, beside what it needs. */
static uint64_t hold_ns;

__attribute__((constructor)) static void read_options(void)
{
    const char *hold = getenv("ONE_MUTEX_HOLD_NS");
    hold_ns = hold ? strtoul(hold, NULL, 10) : 0;
}

static void add(unsigned long *sum, uint64_t amount)
{
    __atomic_fetch_add(sum, amount, __ATOMIC_RELAXED);
}

/* The books are kept when the lock is free again: nobody is to wait for that. */
static void *unlock(void *block)
{
    if (hold_ns != 0)
        for (uint64_t until = now_ns() + hold_ns; now_ns() < until;)
            ;
    pthread_mutex_unlock(&mutex);
    add(&sites[site].acquisitions, 1);
    if (waited.ns == 0)
        return block;
    add(&sites[site].contended, 1);
    add(&sites[site].wait_ns, waited.ns);
    if (voluntary_switches() != waited.switches) {
        add(&sites[site].slept, 1);
        add(&sites[site].slept_ns, waited.ns);
    }
    waited.ns = 0;
    return block;
}

void *malloc(size_t size)
{
    lock();
    return unlock(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    lock();
    return unlock(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    lock();
    return unlock(__libc_realloc(block, size));
}

void *memalign(size_t alignment, size_t size)
{
    lock();
    return unlock(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment % sizeof(void *) != 0)
        return EINVAL;
    void *block = memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *ret = block;
    return 0;
}

void free(void *block)
{
    lock();
    __libc_free(block);
    unlock(NULL);
}

/* C++ operators that do not call malloc, as other allocators have them. */
extern void *_Znwm(size_t size);
extern void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
extern void _ZdlPv(void *block);

void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
    lock();
    return unlock(__libc_malloc(size));
}

void *_Znwm(size_t size)
{
    void *block = _ZnwmRKSt9nothrow_t(size, NULL);
    if (block == NULL)
        abort();
    return block;
}

void _ZdlPv(void *block)
{
    lock();
    __libc_free(block);
    unlock(NULL);
}

__attribute__((destructor)) static void write_truth(void)
{
    const char *path = getenv("ONE_MUTEX_TRUTH");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    for (unsigned i = 0; fd >= 0 && i < ONE_MUTEX_SITES; i++)
        dprintf(fd,
                "{\"site\":%u,\"acquisitions\":%lu,\"contended\":%lu,\"wait_ns\":%lu,"
                "\"slept\":%lu,\"slept_ns\":%lu}\n",
                i, sites[i].acquisitions, sites[i].contended, sites[i].wait_ns, sites[i].slept,
                sites[i].slept_ns);
    if (fd >= 0)
        close(fd);
}
