/* SPDX-License-Identifier: MIT */
#include "workloads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 4

struct job {
    void (*run)(struct job *job);
    uint64_t operations;
    uint64_t random;
    unsigned number;
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t next_random(struct job *job)
{
    job->random ^= job->random << 13;
    job->random ^= job->random >> 7;
    job->random ^= job->random << 17;
    return job->random;
}

/* Keep the compiler from seeing that a block is not used. */
static void use(void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static void run_pair(struct job *job)
{
    for (uint64_t i = 0; i < job->operations; i++) {
        void *p = malloc(64);
        use(p);
        free(p);
    }
}

static void run_mix(struct job *job)
{
    enum { LIVE = 256 };
    char *live[LIVE] = {0};
    for (uint64_t i = 0; i < job->operations; i++) {
        uint64_t random = next_random(job);
        char **slot = &live[random % LIVE];
        free(*slot);
        *slot = malloc(32 + (random >> 8) % 1024);
        **slot = 1;
    }
    for (int i = 0; i < LIVE; i++)
        free(live[i]);
}

static void run_large(struct job *job)
{
    enum { LIVE = 32, LEAST = 65537, MOST = 1 << 20 };
    char *live[LIVE] = {0};
    for (uint64_t i = 0; i < job->operations; i++) {
        uint64_t random = next_random(job);
        char **slot = &live[random % LIVE];
        size_t size = LEAST + (random >> 8) % (MOST - LEAST);
        free(*slot);
        *slot = malloc(size);
        for (size_t at = 0; at < size; at += 4096)
            (*slot)[at] = 1;
    }
    for (int i = 0; i < LIVE; i++)
        free(live[i]);
}

/* Job 2n hands blocks to job 2n + 1 through a ring; NULL: the place is empty. */
static void run_handoff(struct job *job)
{
    enum { PLACES = 1024 };
    static void *_Atomic rings[THREADS_MAX / 2][PLACES] __attribute__((aligned(128)));
    void *_Atomic *ring = rings[job->number / 2];
    for (uint64_t i = 0; i < job->operations; i++) {
        void *_Atomic *place = &ring[i % PLACES];
        if (job->number % 2 == 0) {
            char *p = malloc(16 + next_random(job) % 512);
            *p = 1;
            while (atomic_load_explicit(place, memory_order_acquire) != NULL)
                sched_yield();
            atomic_store_explicit(place, p, memory_order_release);
        } else {
            void *p;
            while ((p = atomic_exchange_explicit(place, NULL, memory_order_acquire)) == NULL)
                sched_yield();
            free(p);
        }
    }
}

static void run_hammer(struct job *job)
{
    run_pair(job);
}

static void run_mix4(struct job *job)
{
    run_mix(job);
}

static uint64_t peak_rss(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmHWM: %lu", &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return (uint64_t)kib * 1024;
}

static void *thread_main(void *argument)
{
    struct job *job = argument;
    job->run(job);
    return NULL;
}

static double run_threads(void (*run)(struct job *), unsigned threads, uint64_t operations)
{
    struct job jobs[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++)
        jobs[i] = (struct job){run, operations, 88172645463325252u + i * 7919, i};
    double start = now_ns();
    if (threads == 1) {
        run(&jobs[0]);
        return now_ns() - start;
    }
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, thread_main, &jobs[i]) != 0)
            abort();
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return now_ns() - start;
}

static const struct workload {
    const char *name;
    void (*run)(struct job *job);
    unsigned threads;
} workloads[] = {
#define X(name, threads, about) {#name, run_##name, threads},
    WORKLOADS(X)
#undef X
};

static const struct workload *find(const char *name)
{
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
        if (strcmp(workloads[i].name, name) == 0)
            return &workloads[i];
    return NULL;
}

uint64_t workload_operations(const char *name)
{
    const struct workload *workload = find(name);
    if (workload == NULL)
        return 0;
    return workload->run == run_large ? 4000 : 4000000 / workload->threads;
}

_Bool workload_run(const char *name, uint64_t operations, struct workload_result *ret)
{
    const struct workload *workload = find(name);
    if (workload == NULL)
        return 0;
    double ns = run_threads(workload->run, workload->threads, operations);
    *ret = (struct workload_result){ns / (double)operations, peak_rss()};
    return 1;
}

static size_t scale_size(_Bool oversize, uint64_t random)
{
    return oversize ? 65537 + random % 32768 : 16 + random % 496;
}

void workload_scale(_Bool oversize, uint64_t count, struct workload_result *ret)
{
    struct job job = {.random = 88172645463325252u};
    char **live = malloc(count * sizeof *live);
    memset(live, 0, count * sizeof *live);
    double start = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        live[i] = malloc(scale_size(oversize, next_random(&job)));
        live[i][0] = 1;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t random = next_random(&job);
        char **slot = &live[random % count];
        free(*slot);
        *slot = malloc(scale_size(oversize, random >> 32));
        (*slot)[0] = 1;
    }
    /* Every second first, so that free blocks have live neighbours for a while. */
    for (uint64_t first = 0; first < 2; first++)
        for (uint64_t i = first; i < count; i += 2)
            free(live[i]);
    double ns = now_ns() - start;
    free(live);
    *ret = (struct workload_result){ns / (double)(3 * count), peak_rss()};
}
