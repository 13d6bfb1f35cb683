/* SPDX-License-Identifier: MIT */
#include "linkage.h"

#include "loader.h"

#include <compiler.h>

#include <string.h>

/* glibc relocates the pointers in an object's dynamic section in place, others leave them as they
 * are in the file; an unrelocated one is smaller than the load bias. */
static const void *dynamic_pointer(uintptr_t bias, ElfW(Addr) value)
{
    return (const void *)(value < bias ? bias + value : value);
}

/* Where the first of the other tables behind the symbols begins. */
static uintptr_t end_of_symbols(const ElfW(Dyn) * dynamic, const struct linked_object *object)
{
    uintptr_t symbols = (uintptr_t)object->symbols, end = UINTPTR_MAX;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        uintptr_t table = (uintptr_t)dynamic_pointer(object->bias, dynamic->d_un.d_ptr);
        switch (dynamic->d_tag) {
        case DT_STRTAB:
        case DT_GNU_HASH:
        case DT_HASH:
        case DT_VERSYM:
        case DT_VERDEF:
        case DT_VERNEED:
        case DT_JMPREL:
        case DT_RELA:
        case DT_RELR:
        case DT_INIT_ARRAY:
        case DT_FINI_ARRAY:
            if (table > symbols && table < end)
                end = table;
            break;
        }
    }
    return end;
}

bool linkage_read_dynamic(const ElfW(Dyn) * dynamic, struct linked_object *ret)
{
    size_t soname = 0;
    const ElfW(Dyn) *first = dynamic;
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        const void *pointer = dynamic_pointer(ret->bias, dynamic->d_un.d_ptr);
        switch (dynamic->d_tag) {
        case DT_SYMTAB:
            ret->symbols = pointer;
            break;
        case DT_STRTAB:
            ret->strings = pointer;
            break;
        case DT_STRSZ:
            ret->strings_size = dynamic->d_un.d_val;
            break;
        case DT_GNU_HASH:
            ret->gnu_hash = pointer;
            break;
        case DT_HASH:
            ret->sysv_hash = pointer;
            break;
        case DT_VERSYM:
            ret->versions = pointer;
            break;
        case DT_JMPREL:
            ret->relocations[0].rows = pointer;
            break;
        case DT_PLTRELSZ:
            ret->relocations[0].bytes = dynamic->d_un.d_val;
            break;
        case DT_RELA:
            ret->relocations[1].rows = pointer;
            break;
        case DT_RELASZ:
            ret->relocations[1].bytes = dynamic->d_un.d_val;
            break;
        case DT_SONAME:
            soname = dynamic->d_un.d_val;
            break;
        }
    }
    if (soname != 0 && ret->strings != NULL)
        ret->soname = ret->strings + soname;
    if (ret->symbols == NULL || ret->strings == NULL)
        return false;
    ret->symbols_end = end_of_symbols(first, ret);
    return true;
}

static bool object_read(const struct dl_phdr_info *info, struct linked_object *ret)
{
    *ret = (struct linked_object){.path = info->dlpi_name,
                                  .bias = info->dlpi_addr,
                                  .start = UINTPTR_MAX,
                                  .segments = info->dlpi_phdr,
                                  .segment_count = info->dlpi_phnum};
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)at;
        if (header->p_type != PT_LOAD)
            continue;
        if (at < ret->start)
            ret->start = at;
        if (at + header->p_memsz > ret->end)
            ret->end = at + header->p_memsz;
    }
    return linkage_read_dynamic(dynamic, ret);
}

struct walk {
    bool (*visit)(const struct linked_object *, void *);
    void *context;
};

static int walk_one(struct dl_phdr_info *info, size_t size, void *context)
{
    struct walk *walk = context;
    struct linked_object object;
    return object_read(info, &object) && walk->visit(&object, walk->context);
}

bool linkage_find(bool (*visit)(const struct linked_object *, void *), void *context)
{
    struct walk walk = {visit, context};
    return loader_iterate(walk_one, &walk) != 0;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static uint32_t sysv_hash(const char *name)
{
    uint32_t hash = 0;
    for (; *name != '\0'; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

/* Whether entry `index` defines `name` under its default version. */
static bool symbol_matches(const struct linked_object *object, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &object->symbols[index];
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC))
        return false;
    if (object->versions != NULL && (object->versions[index] & 0x8000))
        return false;
    return strcmp(object->strings + symbol->st_name, name) == 0;
}

/* Layout: nbuckets, symoffset, bloom_size, bloom_shift, bloom[bloom_size], buckets[], chain[]. */
static uint32_t find_gnu(const struct linked_object *object, const char *name)
{
    const uint32_t *table = object->gnu_hash;
    const uint32_t *buckets = table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chain = buckets + table[0];
    uint32_t hash = gnu_hash(name);
    uint32_t index = table[0] ? buckets[hash % table[0]] : 0;
    if (index < table[1])
        return 0;
    for (;; index++) {
        uint32_t entry = chain[index - table[1]];
        if ((entry | 1) == (hash | 1) && symbol_matches(object, index, name))
            return index;
        if (entry & 1)
            return 0;
    }
}

/* Layout: nbuckets, nchains, buckets[], chain[]. */
static uint32_t find_sysv(const struct linked_object *object, const char *name)
{
    const uint32_t *table = object->sysv_hash;
    const uint32_t *buckets = table + 2;
    const uint32_t *chain = buckets + table[0];
    if (table[0] == 0)
        return 0;
    for (uint32_t index = buckets[sysv_hash(name) % table[0]]; index != 0; index = chain[index])
        if (symbol_matches(object, index, name))
            return index;
    return 0;
}

const ElfW(Sym) * linkage_definition(const struct linked_object *object, const char *name)
{
    uint32_t index = 0;
    if (object->gnu_hash != NULL)
        index = find_gnu(object, name);
    else if (object->sysv_hash != NULL)
        index = find_sysv(object, name);
    return index == 0 ? NULL : &object->symbols[index];
}

void *linkage_symbol(const struct linked_object *object, const char *name)
{
    const ElfW(Sym) *symbol = linkage_definition(object, name);
    if (symbol == NULL)
        return NULL;
    uintptr_t address = object->bias + symbol->st_value;
    if (ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC)
        address = ((uintptr_t(*)(void))address)();
    return (void *)address;
}

/*
 * How many dynamic symbols to look at for what the object needs. Where there is only a GNU hash
 * table that is not written down: it begins behind them, but for one that names nothing, which the
 * linkers give any beginning. Then the symbols end where the next table begins; which one that is
 * differs from linker to linker, and there may be a gap.
 */
static uint32_t needed_count(const struct linked_object *object)
{
    if (object->sysv_hash != NULL)
        return object->sysv_hash[1];
    const uint32_t *table = object->gnu_hash;
    if (table != NULL) {
        const uint32_t *buckets = table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
        for (uint32_t i = 0; i < table[0]; i++)
            if (buckets[i] != 0)
                return table[1];
    }
    uintptr_t symbols = (uintptr_t)object->symbols;
    uintptr_t end = object->symbols_end < object->end ? object->symbols_end : object->end;
    return end > symbols ? (uint32_t)((end - symbols) / sizeof(ElfW(Sym))) : 0;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

bool linkage_needs(const struct linked_object *object, const char *const *names, size_t count)
{
    uint32_t symbols = needed_count(object);
    for (uint32_t i = 1; i < symbols; i++) {
        const ElfW(Sym) *symbol = &object->symbols[i];
        if (symbol->st_shndx == SHN_UNDEF && ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL &&
            symbol->st_name < object->strings_size &&
            is_one_of(object->strings + symbol->st_name, names, count))
            return true;
    }
    return false;
}

size_t linkage_slots(const struct linked_object *object, const char *const *names, size_t count,
                     uintptr_t *ret, size_t most)
{
    size_t found = 0;
    for (size_t kind = 0; kind < ARRAY_LENGTH(object->relocations); kind++) {
        const ElfW(Rela) *rows = object->relocations[kind].rows;
        size_t length = rows == NULL ? 0 : object->relocations[kind].bytes / sizeof *rows;
        for (size_t i = 0; i < length; i++) {
            const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(rows[i].r_info)];
            if (symbol == object->symbols ||
                !is_one_of(object->strings + symbol->st_name, names, count))
                continue;
            if (found < most)
                ret[found] = rows[i].r_offset;
            found++;
        }
    }
    return found;
}

bool linkage_binds(const struct linked_object *object, const char *const *names, size_t count)
{
    return linkage_slots(object, names, count, NULL, 0) > 0;
}

struct definer_search {
    const char *symbol;
    const struct linked_object *but;
    bool past_self;
    struct linked_object *ret;
};

static bool visit_definer(const struct linked_object *object, void *context)
{
    struct definer_search *search = context;
    uintptr_t self = (uintptr_t)&visit_definer;
    if (!search->past_self) {
        search->past_self = self >= object->start && self < object->end;
        return false;
    }
    if (search->but != NULL && search->but->start == object->start)
        return false;
    if (linkage_symbol(object, search->symbol) == NULL)
        return false;
    *search->ret = *object;
    return true;
}

bool linkage_next_definer(const char *symbol, const struct linked_object *but,
                          struct linked_object *ret)
{
    struct definer_search search = {.symbol = symbol, .but = but, .ret = ret};
    return linkage_find(visit_definer, &search);
}

static bool visit_holder(const struct linked_object *object, void *context)
{
    struct linked_object *ret = context;
    if (ret->start < object->start || ret->start >= object->end)
        return false;
    *ret = *object;
    return true;
}

bool linkage_holder(const void *address, struct linked_object *ret)
{
    *ret = (struct linked_object){.start = (uintptr_t)address};
    return linkage_find(visit_holder, ret);
}

static bool visit_first(const struct linked_object *object, void *context)
{
    *(struct linked_object *)context = *object;
    return true;
}

bool linkage_program(struct linked_object *ret)
{
    return linkage_find(visit_first, ret);
}

struct soname_search {
    const char *soname;
    struct linked_object *ret;
};

static bool visit_soname(const struct linked_object *object, void *context)
{
    struct soname_search *search = context;
    if (object->soname == NULL || strcmp(object->soname, search->soname) != 0)
        return false;
    *search->ret = *object;
    return true;
}

bool linkage_by_soname(const char *soname, struct linked_object *ret)
{
    struct soname_search search = {soname, ret};
    return linkage_find(visit_soname, &search);
}
