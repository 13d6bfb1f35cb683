/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include "recording/area.h"
#include "stack/caller.h"
#include "stack/depot.h"
#include "stack/memory.h"

#include <unistd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define DEPOT_BYTES (1ULL << 30)
#define MODULES_MAX 65536u

static struct stack_tables tables;
static char *depot;
static _Atomic uint64_t depot_used = 1; /* in words; id 0 is none */
static _Atomic uint64_t stacks_stored;
static struct malloctap_module *modules;
static _Atomic uint32_t module_count;

static void *reserve(size_t size)
{
    void *room = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room == MAP_FAILED ? NULL : room;
}

__attribute__((constructor)) static void prepare_area(void)
{
    depot = reserve(DEPOT_BYTES);
    modules = reserve(MODULES_MAX * sizeof(*modules));
    if (depot == NULL || modules == NULL)
        abort();
}

struct malloctap_stack *area_stack_alloc(uint32_t frames, uint32_t *id)
{
    uint64_t at = atomic_fetch_add(&depot_used, 1 + frames);
    if ((at + 1 + frames) * 8 > DEPOT_BYTES)
        return NULL;
    atomic_fetch_add(&stacks_stored, 1);
    *id = (uint32_t)at;
    return (struct malloctap_stack *)(depot + at * 8);
}

const struct malloctap_stack *area_stack(uint32_t id)
{
    return (const struct malloctap_stack *)(depot + (uint64_t)id * 8);
}

struct malloctap_module *area_module_alloc(uint32_t *id)
{
    *id = atomic_fetch_add(&module_count, 1) + 1;
    return *id < MODULES_MAX ? &modules[*id - 1] : NULL;
}

uint64_t area_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

EXPORT enum stack_walker probe_init(enum stack_walker wanted)
{
    return stack_walker_init(wanted, true);
}

EXPORT uint32_t probe_capture(uint32_t limit, uint32_t *flags)
{
    return stack_capture(&tables, limit, flags);
}

/* Not thread-local itself: some threads of the tests have no stack to spare for it. */
EXPORT struct stack_memory *probe_memory(void)
{
    static _Thread_local struct stack_memory *memory;
    if (memory == NULL)
        memory = reserve(sizeof(*memory));
    return memory;
}

EXPORT uint32_t probe_capture_from(const struct stack_caller *caller, uint32_t limit,
                                   uint32_t *flags)
{
    return stack_capture_joined(&tables, caller, probe_memory(), limit, flags);
}

EXPORT uint32_t probe_capture_joined(uint32_t limit, uint32_t *flags)
{
    const struct stack_caller caller = stack_caller();
    return probe_capture_from(&caller, limit, flags);
}

/* What both ways of walking must agree on, wherever the joined one begins: at the test's function,
 * in one of ours, or nowhere that is known. */
static noinline void compare(uint32_t limit, const struct probe_stack *taken,
                             struct stack_caller caller)
{
    static _Thread_local uint32_t turn;
    if (turn++ % 3 == 1)
        caller = stack_caller();
    else if (turn % 3 == 0)
        caller = (struct stack_caller){.pc = 0};
    uint32_t flags, joined = stack_capture_joined(&tables, &caller, probe_memory(), limit, &flags);
    if (joined == taken->id && flags == taken->flags)
        return;
    fprintf(stderr, "a joined walk yields stack %u, flags %u, a full walk %u, flags %u\n", joined,
            flags, taken->id, taken->flags);
    abort();
}

EXPORT noinline void probe_take(uint32_t limit, struct probe_stack *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->id = stack_capture(&tables, limit, &ret->flags);
    compare(limit, ret, stack_caller());
    if (ret->id == 0)
        return;
    const struct malloctap_stack *stack = area_stack(ret->id);
    ret->count = stack->frame_count;
    for (uint32_t i = 0; i < ret->count; i++) {
        uint32_t module = MALLOCTAP_FRAME_MODULE(stack->frames[i]);
        ret->modules[i] = module;
        ret->pcs[i] =
            MALLOCTAP_FRAME_OFFSET(stack->frames[i]) + (module == 0 ? 0 : modules[module - 1].bias);
    }
}

EXPORT bool probe_was_joined(const struct probe_stack *stack)
{
    const struct stack_memory *memory = probe_memory();
    uint64_t count = memory->chain - (uintptr_t)tables.rule_cache;
    return count > 0 && count <= MEMORY_FRAMES && memory->id == stack->id;
}

EXPORT void probe_take_below(int depth, uint32_t limit, struct probe_stack *ret)
{
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
    __asm__ volatile("xorl %%ebp, %%ebp" ::: "rbp"); /* so the caller's has to be found */
#endif
    if (depth == 0)
        probe_take(limit, ret);
    else
        probe_take_below(depth - 1, limit, ret);
    __asm__ volatile("" ::: "memory"); /* not a jump */
}

EXPORT const struct malloctap_module *probe_module(uint32_t id)
{
    return id == 0 || id > module_count ? NULL : &modules[id - 1];
}

EXPORT uint32_t probe_module_count(void)
{
    return module_count;
}

EXPORT void probe_forget_tables(void)
{
    memset(&tables, 0, sizeof(tables));
}

EXPORT void probe_forget(void)
{
    probe_forget_tables();
    memset(probe_memory(), 0, sizeof(struct stack_memory));
}

EXPORT uint32_t probe_intern(const uint64_t *frames, uint32_t count, uint32_t flags)
{
    return depot_intern(&tables.depot_index, frames, count, flags);
}

EXPORT uint64_t probe_stacks_stored(void)
{
    return stacks_stored;
}

EXPORT const struct malloctap_stack *probe_stored(uint32_t id)
{
    return area_stack(id);
}

/* Found before there are threads that ask. */
static char executable[1024];

__attribute__((constructor)) static void find_executable(void)
{
    if (readlink("/proc/self/exe", executable, sizeof executable - 1) < 0)
        executable[0] = '?';
}

const char *area_executable(void)
{
    return executable;
}

const char *area_start_directory(void)
{
    static char directory[4096];
    if (getcwd(directory, sizeof directory - 1) == NULL)
        return "";
    return strcat(directory, "/");
}
