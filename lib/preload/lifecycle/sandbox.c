/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include "sandbox_code.h"

#include <compiler.h>

#include <string.h>

static const char *const callers[] = {"prctl", "syscall"};

/* The system's own libraries import these for other ends. */
static bool belongs_to_system(const struct linked_object *object)
{
    static const char *const places[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (strncmp(object->path, places[i], strlen(places[i])) == 0)
            return true;
    return false;
}

/* Goes on to the last object: another may be stricter. */
static bool visit_object(const struct linked_object *object, void *verdict)
{
    static const char *const libseccomp = "seccomp_load";
    enum config_sandbox *ret = verdict;
    uintptr_t here = (uintptr_t)&visit_object;
    if (belongs_to_system(object) || (here >= object->start && here < object->end))
        return false;
    if (linkage_needs(object, &libseccomp, 1))
        *ret = sandbox_stricter(*ret, SANDBOX_YES);
    if (linkage_needs(object, callers, ARRAY_LENGTH(callers)))
        *ret = sandbox_stricter(*ret, sandbox_code_verdict(object, callers, ARRAY_LENGTH(callers)));
    return false;
}

static bool libseccomp_loaded(void)
{
    struct linked_object object;
    return linkage_by_soname("libseccomp.so.2", &object);
}

enum config_sandbox sandbox_expected(void)
{
    if (config.sandbox != SANDBOX_AUTO)
        return config.sandbox;
    enum config_sandbox verdict = libseccomp_loaded() ? SANDBOX_YES : SANDBOX_NO;
    linkage_find(visit_object, &verdict);
    return verdict;
}

bool sandbox_since(void)
{
    return config.sandbox == SANDBOX_AUTO && libseccomp_loaded();
}

static bool visit_locker(const struct linked_object *object, void *unused)
{
    static const char *const name = "mlockall";
    return linkage_needs(object, &name, 1);
}

bool sandbox_locks_memory(void)
{
    return linkage_find(visit_locker, NULL);
}
