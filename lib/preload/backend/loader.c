/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include "linkage.h"

#include <stdint.h>
#include <sys/auxv.h>

typedef int iterate_function(int (*)(struct dl_phdr_info *, size_t, void *), void *);

/* The dynamic section of the main program, where the kernel put it. */
static const ElfW(Dyn) * program_dynamic(void)
{
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    size_t count = headers == NULL ? 0 : getauxval(AT_PHNUM);
    uintptr_t bias = 0, dynamic = 0;
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_PHDR)
            bias = (uintptr_t)headers - headers[i].p_vaddr;
        if (headers[i].p_type == PT_DYNAMIC)
            dynamic = headers[i].p_vaddr;
    }
    return dynamic == 0 ? NULL : (const ElfW(Dyn) *)(bias + dynamic);
}

/* What the loader shows to a debugger: a list of objects, and since glibc 2.35 (version 2) the same
 * of the next namespace. */
struct namespace
{
    struct r_debug objects;
    const struct namespace *next;
};

static const struct namespace *first_namespace(void)
{
    const ElfW(Dyn) *dynamic = program_dynamic();
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == DT_DEBUG)
            return (const struct namespace *)dynamic->d_un.d_ptr;
    return NULL;
}

static const struct link_map *first_object(void)
{
    const struct namespace *first = first_namespace();
    return first == NULL ? NULL : first->objects.r_map;
}

bool loader_other_namespaces(void)
{
    const struct namespace *namespace = first_namespace();
    if (namespace == NULL || namespace->objects.r_version < 2)
        return false;
    while ((namespace = namespace->next) != NULL)
        if (namespace->objects.r_map != NULL)
            return true;
    return false;
}

/* The C library is the object that starts programs. Read without the loader's lock: it was there
 * before any thread could change the list behind it. */
void *loader_libc_function(const char *name)
{
    for (const struct link_map *map = first_object(); map != NULL; map = map->l_next) {
        struct linked_object object = {.bias = map->l_addr};
        if (linkage_read_dynamic(map->l_ld, &object) &&
            linkage_symbol(&object, "__libc_start_main") != NULL &&
            linkage_symbol(&object, "dl_iterate_phdr") != NULL)
            return linkage_symbol(&object, name);
    }
    return NULL;
}

int loader_iterate(int (*visit)(struct dl_phdr_info *info, size_t size, void *context),
                   void *context)
{
    static iterate_function *own;
    iterate_function *iterate = __atomic_load_n(&own, __ATOMIC_RELAXED);
    if (iterate == NULL) {
        iterate = (iterate_function *)loader_libc_function("dl_iterate_phdr");
        if (iterate == NULL)
            iterate = dl_iterate_phdr;
        __atomic_store_n(&own, iterate, __ATOMIC_RELAXED);
    }
    return iterate(visit, context);
}
