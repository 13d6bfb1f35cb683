/* SPDX-License-Identifier: MIT */
/*
 * load_unload.c - one thread loads, calls and unloads two libraries in turn, others take stacks all
 * the while: no deadlock, no fault, and each stack names the library it went through.
 *
 *   load_unload [ROUNDS]
 */
#include "../../unit/stack/plugin.h"
#include "../../unit/stack/probe.h"

#include <dlfcn.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPTURERS 3

static _Atomic int done;
static _Atomic unsigned long captures;

static void take(void *ret)
{
    probe_take(64, ret);
}

static int compare(const void *a, const void *b)
{
    static _Thread_local struct probe_stack stack;
    static _Thread_local uint32_t first;
    probe_take(64, &stack);
    captures++;
    if (first == 0)
        first = stack.id;
    if (stack.id != first || stack.flags != 0) {
        fprintf(stderr, "a stack that should be the same each time is not\n");
        abort();
    }
    return *(const int *)a - *(const int *)b;
}

/* Through libc by lfind(), which nothing wraps: the thread sanitizer's qsort() makes comparisons of
 * its own before libc's, so not all stacks would be the same. */
static void *capture(void *unused)
{
    int number = 1;
    size_t count = 1;
    while (!done)
        lfind(&number, &number, &count, sizeof(number), compare);
    return NULL;
}

static void visit(const char *path)
{
    struct probe_stack stack;
    void *library = dlopen(path, RTLD_NOW);
    __typeof__(&plugin_call) call =
        library == NULL ? NULL : (__typeof__(&plugin_call))dlsym(library, "plugin_call");
    if (call == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    call(take, &stack);
    const struct malloctap_module *module = probe_module(stack.modules[1]);
    if (stack.flags != 0 || module == NULL || strcmp(module->path, path) != 0) {
        fprintf(stderr, "through %s, but %s recorded\n", path, module ? module->path : "nothing");
        abort();
    }
    dlclose(library);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 5000;
    pthread_t threads[CAPTURERS];
    if (probe_init(STACK_WALKER_CFI) != STACK_WALKER_CFI)
        return 77;
    for (int i = 0; i < CAPTURERS; i++)
        pthread_create(&threads[i], NULL, capture, NULL);
    for (int round = 0; round < rounds; round++) {
        visit(PLUGIN_A);
        visit(PLUGIN_B);
    }
    done = 1;
    for (int i = 0; i < CAPTURERS; i++)
        pthread_join(threads[i], NULL);
    printf("%d loads, %lu stacks beside them, %u modules\n", 2 * rounds, captures,
           probe_module_count());
    return 0;
}
