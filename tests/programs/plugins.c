/* SPDX-License-Identifier: MIT */
/*
 * plugins - one thread loads and unloads two libraries in turn, which land at the same address and
 * allocate, while others allocate and throw their stacks at the unwinder.
 *
 *   plugins ROUNDS FIRST.so SECOND.so
 */
#include "truth.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

enum { ALLOCATORS = 2, CALLS_A_LOAD = 10 };

static atomic_bool stop;

static void *allocate(void *unused)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        counted_free(counted_malloc(200));
    return unused;
}

/* Where the library was, or NULL if it could not be used. */
static void *use_plugin(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL)
        return NULL;
    void *(*make)(size_t);
    void (*drop)(void *);
    *(void **)&make = dlsym(library, "plugin_make");
    *(void **)&drop = dlsym(library, "plugin_drop");
    for (int i = 0; i < CALLS_A_LOAD; i++)
        drop(make(300));
    void *address = *(void **)&make;
    dlclose(library);
    return address;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    unsigned long rounds = strtoul(argv[1], NULL, 10), at_same_address = 0;
    pthread_t threads[ALLOCATORS];
    for (int i = 0; i < ALLOCATORS; i++)
        if (pthread_create(&threads[i], NULL, allocate, NULL) != 0)
            return 3;
    for (unsigned long i = 0; i < rounds; i++) {
        void *first = use_plugin(argv[2]), *second = use_plugin(argv[3]);
        if (first == NULL || second == NULL)
            return 3;
        at_same_address += first == second;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < ALLOCATORS; i++)
        pthread_join(threads[i], NULL);
    printf("{\"calls_each\":%lu,\"rounds\":%lu,\"at_same_address\":%lu}\n", rounds * CALLS_A_LOAD,
           rounds, at_same_address);
    return 0;
}
