/* SPDX-License-Identifier: MIT */
/*
 * bare_shim - the least an interposer can do: find the next malloc, and call it. What anything
 * preloaded costs beyond this is its own doing.
 *
 * Each pointer starts at a function that resolves all of them, so the path measured has no test.
 *
 * Compiled with WALK_STACKS it is the least that a recorder of stacks can do with libunwind: take
 * the stack of every allocation, and throw it away.
 */
#include <dlfcn.h>
#include <stddef.h>

#ifdef WALK_STACKS
#define UNW_LOCAL_ONLY
#include <libunwind.h>

/* Its first walk allocates. */
static _Thread_local int walking __attribute__((tls_model("initial-exec")));

static void take_stack(void)
{
    void *pcs[64];
    if (walking)
        return;
    walking = 1;
    unw_backtrace(pcs, 64);
    walking = 0;
}
#else
#define take_stack() ((void)0)
#endif

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);

static void *first_malloc(size_t size);
static void *first_calloc(size_t count, size_t size);
static void *first_realloc(void *block, size_t size);
static void first_free(void *block);

static void *(*next_malloc)(size_t) = first_malloc;
static void *(*next_calloc)(size_t, size_t) = first_calloc;
static void *(*next_realloc)(void *, size_t) = first_realloc;
static void (*next_free)(void *) = first_free;

static void resolve(void)
{
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
}

static void *first_malloc(size_t size)
{
    resolve();
    return next_malloc(size);
}

static void *first_calloc(size_t count, size_t size)
{
    resolve();
    return next_calloc(count, size);
}

static void *first_realloc(void *block, size_t size)
{
    resolve();
    return next_realloc(block, size);
}

static void first_free(void *block)
{
    resolve();
    next_free(block);
}

void *malloc(size_t size)
{
    take_stack();
    return next_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    take_stack();
    return next_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    take_stack();
    return next_realloc(block, size);
}

void free(void *block)
{
    next_free(block);
}
