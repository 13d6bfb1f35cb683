/* SPDX-License-Identifier: MIT */
/*
 * model.c - random calls from several threads, against a model of what must hold.
 *
 *   model [OPERATIONS]
 *
 * Every block handed out is entered in an ordered set of intervals, which no other live block may
 * touch, and filled to its last usable byte; both are checked before it goes back or changes its
 * size. Blocks change hands between threads. MTMALLOC_SEED repeats a run: each thread's calls then
 * are the same, and with one thread all of it is.
 */
#include <heap.h>
#include <mtmalloc_api.h>
#include <tree.h>

#include <malloctap/mtmalloc.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 5, SLOTS = 600, EXCHANGE = 64 };

struct live {
    struct mt_node node; /* by address, in the set of all */
    unsigned char *p;
    size_t requested, usable;
    unsigned char fill;
};

struct worker {
    unsigned number;
    uint64_t seed, random;
    uint64_t operations, done;
    struct live *slots[SLOTS];
};

static pthread_mutex_t set_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mt_node *set;
static struct live *_Atomic exchange[EXCHANGE];
static uint64_t seed;

static _Noreturn void wrong(const struct worker *worker, const char *what, const void *p)
{
    fprintf(stderr, "%s: block %p, thread %u, operation %llu; repeat with MTMALLOC_SEED=%llu\n",
            what, p, worker->number, (unsigned long long)worker->done, (unsigned long long)seed);
    abort();
}

static uint64_t next_random(struct worker *worker)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random;
}

/* ---- the model ------------------------------------------------------------------------------ */

static void enter(struct worker *worker, struct live *live)
{
    live->node.key = (uintptr_t)live->p;
    pthread_mutex_lock(&set_lock);
    struct mt_node *before = mt_tree_at_most(set, live->node.key);
    struct mt_node *after = mt_tree_at_least(set, live->node.key);
    if (before != NULL && live->p < ((struct live *)before)->p + ((struct live *)before)->usable)
        wrong(worker, "overlaps the block in front", live->p);
    if (after != NULL && ((struct live *)after)->p < live->p + live->usable)
        wrong(worker, "overlaps the block behind", live->p);
    mt_tree_insert(&set, &live->node);
    pthread_mutex_unlock(&set_lock);
}

static void leave(struct live *live)
{
    pthread_mutex_lock(&set_lock);
    mt_tree_remove(&set, &live->node);
    pthread_mutex_unlock(&set_lock);
}

/* Large blocks: both ends, and a byte here and there. */
static size_t step_of(size_t at, size_t size)
{
    return at < 2048 || size - at < 2048 ? 1 : 1021;
}

static void fill(struct live *live)
{
    for (size_t at = 0; at < live->usable; at += step_of(at, live->usable))
        live->p[at] = live->fill;
}

static void check(struct worker *worker, const struct live *live, size_t size)
{
    for (size_t at = 0; at < size; at += step_of(at, size))
        if (live->p[at] != live->fill && (at < 2048 || size == live->usable))
            wrong(worker, "changed by somebody else", live->p);
    const struct mt_head *head = mt_head_of(live->p);
    if (!mt_head_is(head, MT_HEAD_BUFFER) && !mt_head_is(head, MT_HEAD_OVERSIZE))
        wrong(worker, "head damaged", live->p);
}

/* A new block: right in itself, and apart from all others. */
static void adopt(struct worker *worker, struct live *live, void *p, size_t requested,
                  size_t alignment)
{
    live->p = p;
    live->requested = requested;
    live->usable = mtmalloc_usable_size(p);
    live->fill = (unsigned char)next_random(worker);
    if ((uintptr_t)p % alignment != 0 || (uintptr_t)p % MT_ALIGNMENT != 0)
        wrong(worker, "badly aligned", p);
    if (live->usable < requested)
        wrong(worker, "too small", p);
    if (!mtmalloc_owns(p))
        wrong(worker, "not known as ours", p);
    enter(worker, live);
    fill(live);
}

/* ---- operations ----------------------------------------------------------------------------- */

/* Mostly small; all classes; now and then oversize. */
static size_t random_size(struct worker *worker)
{
    uint64_t random = next_random(worker);
    unsigned bits = (unsigned)(random % 64);
    bits = bits < 40 ? bits % 9 : bits < 60 ? bits % 16 : 16 + bits % 5;
    return (random >> 8) % ((size_t)2 << bits);
}

static struct live *allocate(struct worker *worker)
{
    size_t size = random_size(worker), alignment = 16;
    void *p = NULL;
    switch (next_random(worker) % 8) {
    case 0:
        p = mtmalloc_calloc(1, size);
        for (size_t at = 0; at < size; at += step_of(at, size))
            if (((char *)p)[at] != 0)
                wrong(worker, "not zero", p);
        break;
    case 1:
        alignment = (size_t)8 << next_random(worker) % 12;
        if (mtmalloc_posix_memalign(&p, alignment, size) != 0)
            wrong(worker, "no aligned block", p);
        break;
    case 2:
        p = mtmalloc_realloc(NULL, size);
        break;
    default:
        p = mtmalloc_malloc(size);
        break;
    }
    if (p == NULL)
        wrong(worker, "no memory", p);
    struct live *live = malloc(sizeof *live);
    adopt(worker, live, p, size, alignment);
    return live;
}

static void release(struct worker *worker, struct live *live)
{
    if (live == NULL)
        return;
    check(worker, live, live->usable);
    leave(live);
    errno = 99;
    if (next_random(worker) % 16 == 0) {
        if (mtmalloc_realloc(live->p, 0) != NULL)
            wrong(worker, "realloc to 0 returned a block", live->p);
    } else {
        mtmalloc_free(live->p);
    }
    if (errno != 99)
        wrong(worker, "free changed errno", live->p);
    free(live);
}

static void resize(struct worker *worker, struct live *live)
{
    size_t size = random_size(worker) + 1;
    size_t kept = size < live->usable ? size : live->usable;
    check(worker, live, live->usable);
    leave(live);
    unsigned char before = live->fill, *p = mtmalloc_realloc(live->p, size);
    if (p == NULL)
        wrong(worker, "no memory", p);
    if (size <= live->usable && p != live->p)
        wrong(worker, "moved without need", p);
    for (size_t at = 0; at < kept && at < 2048; at++)
        if (p[at] != before)
            wrong(worker, "contents lost", p);
    adopt(worker, live, p, size, 1);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (; worker->done < worker->operations; worker->done++) {
        uint64_t random = next_random(worker);
        struct live **slot = &worker->slots[(random >> 16) % SLOTS];
        if (*slot == NULL) {
            *slot = allocate(worker);
        } else if (random % 8 == 0) {
            resize(worker, *slot);
        } else if (random % 8 < 3) {
            *slot = atomic_exchange(&exchange[random >> 40 & (EXCHANGE - 1)], *slot);
        } else {
            release(worker, *slot);
            *slot = NULL;
        }
    }
    for (int i = 0; i < SLOTS; i++)
        release(worker, worker->slots[i]);
    return NULL;
}

static void run(unsigned threads, uint64_t operations)
{
    static struct worker workers[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.number = i, .operations = operations / threads};
        workers[i].random = (seed + i + 1) * 0x9e3779b97f4a7c15u | 1;
    }
    if (threads == 1) {
        work(&workers[0]);
    } else {
        for (unsigned i = 0; i < threads; i++)
            if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0)
                abort();
        for (unsigned i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
    }
    for (int i = 0; i < EXCHANGE; i++)
        release(&workers[0], atomic_exchange(&exchange[i], NULL));
}

/* Everything was freed: the allocator must agree. */
static void check_nothing_in_use(void)
{
    enum { ROWS = 15000 };
    static struct malloctap_lock_row rows[ROWS];
    size_t count = mtmalloc_stats_snapshot(rows, ROWS);
    for (size_t i = 0; i < count; i++)
        if (rows[i].in_use != 0 || rows[i].requested_bytes != 0) {
            fprintf(stderr,
                    "%llu blocks of kind %u, size %u in use after all were freed; repeat with "
                    "MTMALLOC_SEED=%llu\n",
                    (unsigned long long)rows[i].in_use, rows[i].kind, rows[i].buffer_size,
                    (unsigned long long)seed);
            abort();
        }
}

int main(int argc, char **argv)
{
    uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000;
    const char *text = getenv("MTMALLOC_SEED");
    seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) * 1000003;
    printf("MTMALLOC_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    static const char *const chunks[] = {"9", "17", "256"};
    for (int round = 0; round < 3; round++) {
        mtmalloc_option("chunk", chunks[round]);
        mtmalloc_option("debugpattern", round == 1 ? "1" : "0");
        run(1, operations / 4);
        run(THREADS_MAX, operations);
        check_nothing_in_use();
    }
    return 0;
}
