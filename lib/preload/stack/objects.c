/* SPDX-License-Identifier: MIT */
#include "objects.h"

#include "backend/linkage.h"
#include "backend/loader.h"
#include "compiler.h"
#include "view.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

/* The program headers are expected in the object's first bytes, which are on one page everywhere.
 */
#define HEADERS_SIZE 4096u

/* Objects in the list made at the start. */
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
static struct listed {
    struct object object;
    const ElfW(Dyn) * dynamic;
    const char *strings, *soname; /* NULL: it has none */
    bool kept;                    /* for as long as the process lives */
} listed[LISTED_MAX];             /* what was loaded at the start */
static size_t listed_count;
static struct main_program {
    uintptr_t start, end;
    const ElfW(Phdr) * headers;
    size_t header_count;
} main_program;

static void add_segments(uintptr_t bias, const ElfW(Phdr) * headers, size_t count, uintptr_t *start,
                         uintptr_t *end)
{
    *start = UINTPTR_MAX;
    *end = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t low = bias + headers[i].p_vaddr, high = low + headers[i].p_memsz;
        if (headers[i].p_type != PT_LOAD)
            continue;
        *start = low < *start ? low : *start;
        *end = high > *end ? high : *end;
    }
}

/* The main program is where the kernel put it: there may be room for others between its segments,
 * so that the loader knows it as several ranges, and its headers need not be at its start. */
static void find_main_program(void)
{
    uintptr_t bias = 0;
    main_program.headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    main_program.header_count = main_program.headers == NULL ? 0 : getauxval(AT_PHNUM);
    for (size_t i = 0; i < main_program.header_count; i++) {
        if (main_program.headers[i].p_type == PT_PHDR)
            bias = (uintptr_t)main_program.headers - main_program.headers[i].p_vaddr;
    }
    add_segments(bias, main_program.headers, main_program.header_count, &main_program.start,
                 &main_program.end);
}

static int list_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    if (listed_count == LISTED_MAX)
        return 1;
    struct listed *ret = &listed[listed_count++];
    struct linked_object names = {.bias = info->dlpi_addr};
    *ret = (struct listed){.object = {.bias = info->dlpi_addr, .name = info->dlpi_name}};
    add_segments(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, &ret->object.start,
                 &ret->object.end);
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t address = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            ret->object.eh_frame_hdr = (const uint8_t *)address;
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            ret->dynamic = (const ElfW(Dyn) *)address;
    }
    ret->object.low = ret->object.start;
    ret->object.high = ret->object.end;
    linkage_read_dynamic(ret->dynamic, &names);
    ret->strings = names.strings;
    ret->soname = names.soname;
    return 0;
}

static struct listed *find_listed(const char *name)
{
    for (size_t i = 0; i < listed_count; i++) {
        const char *soname = listed[i].soname, *path = listed[i].object.name;
        if ((soname != NULL && strcmp(soname, name) == 0) || strcmp(path, name) == 0)
            return &listed[i];
    }
    return NULL;
}

/* Keep what an object needs. Returns whether that was anything new. */
static bool keep_needed(const struct listed *object)
{
    bool added = false;
    const ElfW(Dyn) *entry = object->strings == NULL ? NULL : object->dynamic;
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag != DT_NEEDED)
            continue;
        struct listed *needed = find_listed(object->strings + entry->d_un.d_val);
        added = added || (needed != NULL && !needed->kept);
        if (needed != NULL)
            needed->kept = true;
    }
    return added;
}

/* The loader never unloads the main program and what that needs; what was loaded by dlopen(), if
 * only by an earlier constructor, it may. */
static void find_kept(void)
{
    bool added = listed_count > 0;
    if (added)
        listed[0].kept = true;
    while (added) {
        added = false;
        for (size_t i = 0; i < listed_count; i++)
            added = (listed[i].kept && keep_needed(&listed[i])) || added;
    }
}

bool objects_kept(const struct object *object)
{
    for (size_t i = 0; i < listed_count; i++) {
        uintptr_t dynamic = (uintptr_t)listed[i].dynamic;
        if (listed[i].kept && dynamic - object->start < object->end - object->start)
            return true;
    }
    return false;
}

/*
 * Looked up by name, not referenced: even a weak reference would carry the version GLIBC_2.35, and
 * some linkers write that down as a need which makes an older C library refuse the whole object.
 */
bool objects_prepare(void)
{
    find_main_program();
    find_object = (find_object_function *)dlsym(RTLD_DEFAULT, "_dl_find_object");
    if (find_object == NULL)
        dlerror(); /* ours, not to be found by the program */
    listed_count = 0;
    loader_iterate(list_object, NULL);
    find_kept();
    return find_object != NULL;
}

static bool find_listed_object(uintptr_t address, struct object *ret)
{
    for (size_t i = 0; i < listed_count; i++) {
        *ret = listed[i].object;
        if (address - ret->start < ret->end - ret->start)
            /* It may have been unloaded since. */
            return stack_view_readable(ret->start);
    }
    return false;
}

bool objects_find(uintptr_t address, struct object *ret)
{
    struct find_object_result result;
    if (find_object == NULL)
        return find_listed_object(address, ret);
    if (find_object((void *)address, &result) != 0)
        return false;
    ret->low = ret->start = (uintptr_t)result.map_start;
    ret->high = ret->end = (uintptr_t)result.map_end;
    ret->bias = result.link_map->l_addr;
    ret->eh_frame_hdr = result.eh_frame;
    ret->name = result.link_map->l_name != NULL ? result.link_map->l_name : "";
    if (ret->low >= main_program.start && ret->high <= main_program.end) {
        ret->start = main_program.start;
        ret->end = main_program.end;
    }
    return true;
}

/* The program headers, if they are where they can be found without asking the loader. */
static const ElfW(Phdr) * program_headers(const struct object *object, size_t *count)
{
    if (object->start == main_program.start) {
        *count = main_program.header_count;
        return main_program.headers;
    }
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)object->start;
    if (object->end - object->start < HEADERS_SIZE || !stack_view_object_readable(object->start) ||
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

bool objects_executable(const struct object *object, uintptr_t address)
{
    size_t count = 0;
    const ElfW(Phdr) *headers = program_headers(object, &count);
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_X) &&
            address - object->bias - headers[i].p_vaddr < headers[i].p_memsz)
            return true;
    }
    return count == 0;
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
