/* SPDX-License-Identifier: MIT */
/*
 * deepbind - loads a library that finds libc's malloc before any preloaded one, and exchanges
 * blocks with it.
 *
 *   deepbind from | both PLUGIN.so
 *
 * from: the program takes the library's blocks, which another allocator in front can tell from its
 * own. both: it gives the library its own, too, which only libc itself can bear.
 */
#include "truth.h"

#include <dlfcn.h>

int main(int argc, char **argv)
{
    void *library = argc == 3 ? dlopen(argv[2], RTLD_NOW | RTLD_DEEPBIND) : NULL;
    if (library == NULL)
        return 2;
    void *(*make)(size_t);
    void (*drop)(void *);
    *(void **)&make = dlsym(library, "plugin_make");
    *(void **)&drop = dlsym(library, "plugin_drop");
    bool both = strcmp(argv[1], "both") == 0;
    for (size_t i = 0; i < 1000; i++) {
        void *theirs = make(100 + i);
        theirs = counted_realloc(theirs, 3000 + i);
        memset(theirs, 1, malloc_usable_size(theirs));
        counted_free(theirs);
        if (both)
            drop(counted_malloc(100 + i));
    }
    return 0;
}
