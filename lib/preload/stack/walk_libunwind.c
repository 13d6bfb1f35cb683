/* SPDX-License-Identifier: MIT */
/*
 * walk_libunwind.c - the walker by libunwind, where the C library cannot find objects without a
 * lock.
 *
 * libunwind keeps rules per thread, but fills them by dl_iterate_phdr() and under locks of its own.
 * A child made while another thread was in there would wait for them for ever: such a child walks
 * by the tables, as far as the objects are known.
 */
#include "walk.h"

#include "compiler.h"
#include "rule_cache.h"
#include "table.h"

#include <assert.h>
#include <dlfcn.h>

typedef int backtrace_function(void **pcs, int size);
typedef int caching_function(void *address_space, int policy);

#define CACHING_PER_THREAD 2 /* UNW_CACHE_PER_THREAD */

#if defined(__x86_64__)
#define LIBUNWIND_LOCAL(name) "_ULx86_64_" name
#else
#define LIBUNWIND_LOCAL(name) "_ULaarch64_" name
#endif

/* Written by walk_libunwind_prepare() alone. */
static backtrace_function *backtrace_by_libunwind;

/* Threads inside libunwind. Unlike all other state it is inherited: a child that finds it above
 * zero has lost a thread in there. */
static uint32_t walks_in_flight;

enum usable { UNDECIDED, USABLE, UNUSABLE };

bool walk_libunwind_prepare(void)
{
    void *pcs[16];
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        dlerror(); /* ours, not to be found by the program */
        return false;
    }
    backtrace_by_libunwind = (backtrace_function *)dlsym(library, "unw_backtrace");
    caching_function *set_caching =
        (caching_function *)dlsym(library, LIBUNWIND_LOCAL("set_caching_policy"));
    void **space = dlsym(library, LIBUNWIND_LOCAL("local_addr_space"));
    if (set_caching != NULL && space != NULL)
        set_caching(*space, CACHING_PER_THREAD);
    dlerror();
    /* The first walk allocates and opens things: have it behind us. */
    return backtrace_by_libunwind != NULL && backtrace_by_libunwind(pcs, ARRAY_LENGTH(pcs)) > 0;
}

/*
 * Decided once a process, at its first walk. In a process that was not forked, nobody can be inside
 * before it is decided; so whoever finds somebody inside while it is undecided is in a child,
 * unless another thread has just decided, which the exchange notices.
 */
static bool usable(struct stack_tables *tables)
{
    uint64_t now = __atomic_load_n(&tables->libunwind, __ATOMIC_SEQ_CST);
    if (now == UNDECIDED) {
        uint64_t wanted =
            __atomic_load_n(&walks_in_flight, __ATOMIC_SEQ_CST) == 0 ? USABLE : UNUSABLE;
        if (__atomic_compare_exchange_n(&tables->libunwind, &now, wanted, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            now = wanted;
    }
    return now == USABLE;
}

static int backtrace_in_flight(void **pcs, int size)
{
    __atomic_fetch_add(&walks_in_flight, 1, __ATOMIC_SEQ_CST);
    int found = backtrace_by_libunwind(pcs, size);
    __atomic_fetch_sub(&walks_in_flight, 1, __ATOMIC_SEQ_CST);
    return found;
}

noinline uint32_t walk_libunwind(struct stack_tables *tables, const struct walk_own *own,
                                 uint64_t *frames, uint32_t limit, uint32_t *flags)
{
    struct rule_cache *rules = table_get(&tables->rule_cache, sizeof(*rules));
    struct modules_seen seen;
    uint32_t found, count = 0, first = 0;
    if (!usable(tables))
        return walk_cfi(tables, own, frames, limit, flags);
    modules_seen_init(&seen);
    /* Where each address is found, its frame is put: there is no stack to spare for two arrays. */
    static_assert(sizeof(void *) == sizeof(*frames), "addresses and frames are of one size");
    found = (uint32_t)backtrace_in_flight((void **)frames, (int)(limit + WALK_SPARE_FRAMES));
    while (first < found && frames[first] - own->start < own->end - own->start)
        first++;
    for (uint32_t i = first; i < found && frames[i] != 0; i++) {
        uintptr_t pc = frames[i];
        if (count == limit) {
            *flags |= MALLOCTAP_STACK_LIMITED;
            return count;
        }
        const struct module *module = modules_find(&tables->module_index, &seen, pc - 1);
        frames[count++] = walk_frame(module, pc, false);
        if (i + 1 == found && rule_find(rules, module, pc - 1).kind != RULE_OUTERMOST)
            *flags |= MALLOCTAP_STACK_TRUNCATED;
    }
    return count;
}
