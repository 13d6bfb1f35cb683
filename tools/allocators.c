/* SPDX-License-Identifier: MIT */
#include "allocators.h"

#include "library_search.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct allocator {
    const char *name;
    const char *pattern;
    const char *package;
} allocators[] = {
#define ALLOCATOR(name, pattern, package) {#name, pattern, package},
#include "allocators.def"
#undef ALLOCATOR
};

enum { ALLOCATORS = sizeof allocators / sizeof *allocators };

bool allocator_known(const char *name)
{
    for (int i = 0; i < ALLOCATORS; i++)
        if (strcmp(allocators[i].name, name) == 0)
            return true;
    return false;
}

bool allocator_find(const char *name, char *ret, size_t size)
{
    for (int i = 0; i < ALLOCATORS; i++)
        if (strcmp(allocators[i].name, name) == 0 &&
            library_search(allocators[i].pattern, ret, size))
            return true;
    return false;
}

const char *allocator_package(const char *name)
{
    for (int i = 0; i < ALLOCATORS; i++)
        if (strcmp(allocators[i].name, name) == 0 && allocators[i].package)
            return allocators[i].package;
    return NULL;
}

const char *allocator_of_library(const char *file_name)
{
    for (int i = 0; i < ALLOCATORS; i++)
        if (fnmatch(allocators[i].pattern, file_name, 0) == 0)
            return allocators[i].name;
    return NULL;
}

/* Names in the order of the list, each once, those for which `wanted` holds. */
static void names_list(bool (*wanted)(const char *name), char *ret, size_t size)
{
    size_t used = 0;
    *ret = '\0';
    for (int i = 0; i < ALLOCATORS && used < size; i++) {
        bool repeated = i > 0 && strcmp(allocators[i].name, allocators[i - 1].name) == 0;
        if (!repeated && wanted(allocators[i].name))
            used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "",
                                     allocators[i].name);
    }
}

static bool installed(const char *name)
{
    char path[PATH_MAX];
    return allocator_find(name, path, sizeof path);
}

void allocators_installed(char *ret, size_t size)
{
    names_list(installed, ret, size);
}

void allocators_all(char *ret, size_t size)
{
    names_list(allocator_known, ret, size);
}
