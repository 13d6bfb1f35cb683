/* SPDX-License-Identifier: MIT */
#include "objects.h"

#include "compiler.h"
#include "view.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

/* The program headers are expected in the object's first bytes, which are on one page everywhere.
 */
#define HEADERS_SIZE 4096u

/* Objects in the list that stands in for _dl_find_object(). */
#define LISTED_MAX 512

/* As glibc 2.35 lays it out, declared here because older headers lack it. */
struct find_object_result {
    unsigned long long flags;
    void *map_start;
    void *map_end;
    struct link_map *link_map;
    void *eh_frame;
    unsigned long long reserved[8];
};

typedef int find_object_function(void *address, struct find_object_result *result);

/* Written by objects_prepare() alone. */
static find_object_function *find_object;
static struct object listed[LISTED_MAX];
static size_t listed_count;

static int list_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    struct object *object = &listed[listed_count];
    if (listed_count == LISTED_MAX)
        return 1;
    *object = (struct object){.start = UINTPTR_MAX, .bias = info->dlpi_addr};
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_EH_FRAME)
            object->eh_frame_hdr = (const uint8_t *)start;
        if (header->p_type != PT_LOAD)
            continue;
        object->start = start < object->start ? start : object->start;
        object->end = start + header->p_memsz > object->end ? start + header->p_memsz : object->end;
    }
    object->name = info->dlpi_name;
    listed_count++;
    return 0;
}

/*
 * Looked up by name, not referenced: even a weak reference would carry the version GLIBC_2.35, and
 * some linkers write that down as a need which makes an older C library refuse the whole object.
 */
bool objects_prepare(void)
{
    find_object = (find_object_function *)dlsym(RTLD_DEFAULT, "_dl_find_object");
    if (find_object != NULL)
        return true;
    dlerror(); /* ours, not to be found by the program */
    listed_count = 0;
    dl_iterate_phdr(list_object, NULL);
    return false;
}

bool objects_find(uintptr_t address, struct object *ret)
{
    if (find_object == NULL) {
        for (size_t i = 0; i < listed_count; i++) {
            *ret = listed[i];
            if (address - ret->start < ret->end - ret->start)
                /* It may have been unloaded since. */
                return stack_view_readable(ret->start);
        }
        return false;
    }
    struct find_object_result result;
    if (find_object((void *)address, &result) != 0)
        return false;
    *ret = (struct object){
        .start = (uintptr_t)result.map_start,
        .end = (uintptr_t)result.map_end,
        .bias = result.link_map->l_addr,
        .eh_frame_hdr = result.eh_frame,
        .name = result.link_map->l_name != NULL ? result.link_map->l_name : "",
    };
    return true;
}

/* The program headers, if they are where they can be found without asking the loader. */
static const ElfW(Phdr) * program_headers(const struct object *object, size_t *count)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)object->start;
    if (object->end - object->start < HEADERS_SIZE || !stack_view_readable(object->start) ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff % _Alignof(ElfW(Phdr)) != 0 ||
        header->e_phoff > HEADERS_SIZE ||
        header->e_phnum > (HEADERS_SIZE - header->e_phoff) / sizeof(ElfW(Phdr)))
        return NULL;
    *count = header->e_phnum;
    return (const ElfW(Phdr) *)(object->start + header->e_phoff);
}

bool objects_segment(const struct object *object, uintptr_t address, uintptr_t *start,
                     uintptr_t *end)
{
    size_t count = 0;
    const ElfW(Phdr) *headers = program_headers(object, &count);
    for (size_t i = 0; i < count; i++) {
        *start = object->bias + headers[i].p_vaddr;
        *end = *start + headers[i].p_memsz;
        if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_R) && address >= *start &&
            address < *end)
            return *start >= object->start && *end <= object->end;
    }
    return false;
}

/* The build-id among the notes of one segment. */
static size_t build_id_of_notes(uintptr_t at, uintptr_t end, const uint8_t **ret)
{
    while (end - at >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        uintptr_t name = at + sizeof(*note), data = name + ALIGN_UP((uintptr_t)note->n_namesz, 4);
        uintptr_t next = data + ALIGN_UP((uintptr_t)note->n_descsz, 4);
        if (next > end)
            break;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof(ELF_NOTE_GNU) &&
            memcmp((const void *)name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0) {
            *ret = (const uint8_t *)data;
            return note->n_descsz;
        }
        at = next;
    }
    return 0;
}

size_t objects_build_id(const struct object *object, const uint8_t **ret)
{
    size_t count = 0, size = 0;
    const ElfW(Phdr) *headers = program_headers(object, &count);
    for (size_t i = 0; i < count && size == 0; i++) {
        uintptr_t notes = object->bias + headers[i].p_vaddr, start, end;
        if (headers[i].p_type == PT_NOTE && objects_segment(object, notes, &start, &end) &&
            headers[i].p_memsz <= end - notes)
            size = build_id_of_notes(notes, notes + headers[i].p_memsz, ret);
    }
    return size;
}
