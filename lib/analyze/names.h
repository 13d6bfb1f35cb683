/* SPDX-License-Identifier: MIT */
/*
 * names.h - each distinct text once, so that equal texts are equal pointers: names are compared
 * far more often than they are read.
 */
#ifndef ANALYZE_NAMES_H
#define ANALYZE_NAMES_H

#include <stddef.h>

struct names_entry {
    char *text;
    const char *readable; /* the demangled form, once asked for */
};

/* A zeroed struct is an empty set. */
struct names {
    struct names_entry *entries; /* open addressing, by text */
    size_t capacity;
    size_t count;
};

void names_deinit(struct names *names);

/* The one copy of `text`; valid until names_deinit(). NULL stays NULL. */
const char *names_intern(struct names *names, const char *text);

/* The demangled name (C++, Rust) without parameters, or the name itself; interned. */
const char *names_demangle(struct names *names, const char *name);

#endif
