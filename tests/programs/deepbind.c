/* SPDX-License-Identifier: MIT */
/*
 * deepbind - loads a library that finds libc's malloc before any preloaded one, and exchanges
 * blocks with it: 2000 calls of malloc and as many of free, half of each the library's own.
 *
 *   deepbind PLUGIN.so
 */
#include "truth.h"

#include <dlfcn.h>

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;
    if (library == NULL)
        return 2;
    void *(*make)(size_t);
    void (*drop)(void *);
    *(void **)&make = dlsym(library, "plugin_make");
    *(void **)&drop = dlsym(library, "plugin_drop");
    for (size_t i = 0; i < 1000; i++) {
        void *theirs = make(100 + i);
        theirs = counted_realloc(theirs, 3000 + i);
        memset(theirs, 1, malloc_usable_size(theirs));
        counted_free(theirs);
        drop(counted_malloc(100 + i));
    }
    return 0;
}
