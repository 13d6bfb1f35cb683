/* SPDX-License-Identifier: MIT */
/*
 * backend.h - the allocator behind the tap.
 *
 * A table of functions, filled once by backend_resolve() before the first call is forwarded, and
 * never changed. Until then it holds functions of the bootstrap arena, so that it can always be
 * called.
 */
#ifndef PRELOAD_BACKEND_H
#define PRELOAD_BACKEND_H

#include <compiler.h>

#include <stdbool.h>
#include <stddef.h>

struct backend {
#define FUNCTION(name, result, parameters) result(*name) parameters;
#include "functions.def"
#undef FUNCTION
};

extern struct backend backend HIDDEN;

enum backend_kind { BACKEND_OWN, BACKEND_LIBC, BACKEND_MTMALLOC };

struct backend_identity {
    enum backend_kind kind;
    char object[512]; /* path of the object whose functions are called; "built in" for mtmalloc */
    /* malloc_usable_size() may be asked of each block it made. Sanitizers end the program where
     * they do not know one, and they do not know those of their own beginnings. */
    bool tells_sizes;
    bool calls_public; /* its functions call one another by the names that the tap has taken */
};

extern struct backend_identity backend_identity HIDDEN;

/* Choose by name: "own", "libc", "mtmalloc"; any other name means the allocator of that name that
 * stands behind the tap in link order. What cannot be had is said on stderr, and `own` is used. */
void backend_resolve(const char *name);

#endif
