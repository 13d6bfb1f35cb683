/* SPDX-License-Identifier: MIT */
/*
 * backend_spec.h - what `-b` takes:
 *
 *     [NAME=]BACKEND[,KEY=VALUE]...
 *
 * NAME is for tables. Lower-case keys are the backend's own options, the others variables of the
 * program's environment. A comma or backslash that belongs to a value has a backslash before it.
 */
#ifndef TOOLS_BACKEND_SPEC_H
#define TOOLS_BACKEND_SPEC_H

#include <stddef.h>

enum { BACKEND_SETTINGS_MAX = 32 };

struct backend_setting {
    char *key;
    char *value;
};

struct backend_settings {
    size_t count;
    struct backend_setting rows[BACKEND_SETTINGS_MAX];
};

struct backend_spec {
    char *name;    /* for tables: as given, or all of the text */
    char *backend; /* own, libc, mtmalloc, an allocator's name, or a path */
    struct backend_settings options;
    struct backend_settings environment;
};

/* 0, or -1 after filling `message` with what is wrong and how to fix it. Knows which options the
 * built-in backends have, but not which allocators are installed. */
int backend_spec_parse(const char *text, struct backend_spec *ret, char *message, size_t size);
void backend_spec_deinit(struct backend_spec *spec);

#endif
