/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <backend/linkage.h>
#include <compiler.h>

#include <string.h>

/* The system's own libraries import these for other ends. */
static bool belongs_to_system(const struct linked_object *object)
{
    static const char *const places[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (strncmp(object->path, places[i], strlen(places[i])) == 0)
            return true;
    return false;
}

static bool visit_suspect(const struct linked_object *object, void *self)
{
    uintptr_t here = (uintptr_t)self;
    if (belongs_to_system(object) || (here >= object->start && here < object->end))
        return false;
    static const char *const functions[] = {"prctl", "syscall", "seccomp_load"};
    return linkage_needs(object, functions, ARRAY_LENGTH(functions));
}

bool sandbox_possible(void)
{
    struct linked_object object;
    return linkage_by_soname("libseccomp.so.2", &object) ||
           linkage_find(visit_suspect, (void *)(uintptr_t)&visit_suspect);
}
