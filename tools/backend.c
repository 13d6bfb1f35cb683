/* SPDX-License-Identifier: MIT */
#include "backend.h"

#include "allocators.h"
#include "elf_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool built_in(const char *name)
{
    return strcmp(name, "own") == 0 || strcmp(name, "libc") == 0 || strcmp(name, "mtmalloc") == 0;
}

bool preload_can_carry(const char *path)
{
    return !strpbrk(path, " :$\t\n");
}

static int path_resolve(struct backend *backend, char *message, size_t size)
{
    const char *path = backend->spec.backend;
    struct elf_facts facts;
    /* Absolute, but not resolved further: the name may be a version's symlink, and says more. */
    if (access(path, R_OK)) {
        snprintf(message, size, "backend %s: %s; give the path of a shared library", path,
                 strerror(errno));
        return -1;
    }
    char directory[PATH_MAX];
    int length = -1;
    if (path[0] == '/')
        length = snprintf(backend->library, sizeof backend->library, "%s", path);
    else if (getcwd(directory, sizeof directory))
        length = snprintf(backend->library, sizeof backend->library, "%s/%s", directory, path);
    elf_facts_read(path, &facts);
    if (length < 0 || length >= (int)sizeof backend->library) {
        snprintf(message, size, "backend %s: its full path is too long; give a shorter one", path);
        return -1;
    }
    if (facts.native && facts.executable && facts.defines_malloc)
        return 0;
    snprintf(message, size,
             facts.native ? "backend %s: defines no malloc; give the library of an allocator"
                          : "backend %s: not a shared library for this machine; give one that is",
             path);
    return -1;
}

static int name_resolve(struct backend *backend, char *message, size_t size)
{
    const char *name = backend->spec.backend;
    if (allocator_find(name, backend->library, sizeof backend->library))
        return 0;
    char found[256];
    allocators_installed(found, sizeof found);
    const char *package = allocator_package(name);
    if (!allocator_known(name))
        snprintf(
            message, size,
            "unknown backend '%s'; there are own, libc, mtmalloc%s%s, or the path of a library",
            name, *found ? " and, installed here, " : "", found);
    else if (package)
        snprintf(message, size,
                 "backend %s is not installed (Debian: apt-get install %s); installed: %s", name,
                 package, *found ? found : "none");
    else
        snprintf(message, size,
                 "backend %s is not installed; build it and give its library's path; installed: %s",
                 name, *found ? found : "none");
    return -1;
}

int backend_init(const char *text, struct backend *ret, char *message, size_t size)
{
    *ret = (struct backend){0};
    if (backend_spec_parse(text, &ret->spec, message, size))
        return -1;
    int failed = 0;
    if (strchr(ret->spec.backend, '/'))
        failed = path_resolve(ret, message, size);
    else if (!built_in(ret->spec.backend))
        failed = name_resolve(ret, message, size);
    if (!failed && !preload_can_carry(ret->library)) {
        snprintf(message, size,
                 "backend %s: its path has a space, ':' or '$', which LD_PRELOAD cannot carry; "
                 "make a link to it elsewhere",
                 ret->library);
        failed = -1;
    }
    if (failed)
        backend_deinit(ret);
    return failed;
}

int backend_check(const struct backend *backend, const struct program *program, char *message,
                  size_t size)
{
    if (strcmp(backend->spec.backend, "own") == 0)
        return 0;
    struct elf_facts library = {0};
    if (*backend->library)
        elf_facts_read(backend->library, &library);
    uint32_t lacking = program->facts.private_imports & ~library.private_definitions;
    if (!lacking)
        return 0;
    const char *linked = program->facts.allocator;
    snprintf(message, size,
             "%s: is bound to %s, which it calls by names of its own, as %s(): backend %s, which "
             "has not got them, would mix up their blocks; use -b own, or a build without them",
             program->binary, *linked ? linked : "its allocator", elf_private_name(lacking),
             backend->spec.name);
    return -1;
}

void backend_deinit(struct backend *backend)
{
    backend_spec_deinit(&backend->spec);
    backend->library[0] = '\0';
}
