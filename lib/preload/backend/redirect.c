/* SPDX-License-Identifier: MIT */
#include "redirect.h"

#include "linkage.h"
#include "loader.h"

#include <compiler.h>
#include <sys.h>

static const char *const names[] = {
#define FUNCTION(name, result, parameters) #name,
#include "functions.def"
#undef FUNCTION
    "reallocarray",
};

/* An allocator of its own, that is; others which define malloc may wrap libc's. */
static bool is_allocator(const struct linked_object *object)
{
    static const char *const private_names[] = {
#define PRIVATE_NAME(name) #name,
#include <private_names.def>
#undef PRIVATE_NAME
    };
    for (size_t i = 0; i < ARRAY_LENGTH(private_names); i++)
        if (linkage_symbol(object, private_names[i]) != NULL)
            return true;
    return false;
}

/* Whether the table is in memory that holds no code: only there it may be written to everywhere. */
static bool is_apart(const struct linked_object *object)
{
    uintptr_t table = (uintptr_t)object->symbols - object->bias;
    for (size_t i = 0; i < object->segment_count; i++) {
        const ElfW(Phdr) *segment = &object->segments[i];
        if (segment->p_type == PT_LOAD && table - segment->p_vaddr < segment->p_memsz)
            return !(segment->p_flags & PF_X);
    }
    return false;
}

/* Of all the family's entries at once: memory of one kind in pieces is many mappings to the kernel.
 */
static bool protect(const struct linked_object *libc, int protection)
{
    uintptr_t page_size = (uintptr_t)getpagesize(), low = UINTPTR_MAX, high = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        uintptr_t entry = (uintptr_t)linkage_definition(libc, names[i]);
        if (entry != 0 && entry < low)
            low = entry;
        if (entry > high)
            high = entry;
    }
    low &= ~(page_size - 1);
    return low < high &&
           syscall(SYS_mprotect, low, high + sizeof(ElfW(Sym)) - low, protection) == 0;
}

void redirect_libc(void)
{
    struct linked_object tap, next, libc;
    void *function = loader_libc_function("malloc");
    if (function == NULL || !linkage_holder(function, &libc) || !is_apart(&libc) ||
        !linkage_holder((void *)&redirect_libc, &tap) ||
        !linkage_next_definer("malloc", NULL, &next) ||
        (next.start != libc.start && !is_allocator(&next)) ||
        !protect(&libc, PROT_READ | PROT_WRITE))
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        ElfW(Sym) *entry = (ElfW(Sym) *)linkage_definition(&libc, names[i]);
        if (entry != NULL)
            entry->st_value = (uintptr_t)linkage_symbol(&tap, names[i]) - libc.bias;
    }
    protect(&libc, PROT_READ);
}
