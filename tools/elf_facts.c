/* SPDX-License-Identifier: MIT */
#include "elf_facts.h"

#include "allocators.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Runtimes that bring a malloc of their own, by a symbol that every program built for them needs.
 */
static const struct {
    const char *symbol;
    const char *name;
} sanitizers[] = {
    {"__asan_init", "AddressSanitizer"}, {"__hwasan_init", "HWAddressSanitizer"},
    {"__tsan_init", "ThreadSanitizer"},  {"__msan_init", "MemorySanitizer"},
    {"__lsan_init", "LeakSanitizer"},
};

/* Libraries that say the same where no symbol does: -fsanitize=leak leaves nothing else. */
static const struct {
    const char *library;
    const char *name;
} sanitizer_libraries[] = {
    {"libasan.so", "AddressSanitizer"},
    {"libtsan.so", "ThreadSanitizer"},
    {"liblsan.so", "LeakSanitizer"},
    {"libhwasan.so", "HWAddressSanitizer"},
};

/* Allocators that programs take in whole under names of their own, by one symbol each. */
static const char *const inner_allocators[] = {"_rjem_malloc", "je_malloc", "mallocx",
                                               "tc_malloc",    "mi_malloc", "rpmalloc"};

static const char *const private_names[] = {
#define PRIVATE_NAME(name) #name,
#include <private_names.def>
#undef PRIVATE_NAME
};

_Static_assert(sizeof private_names / sizeof *private_names <= 32, "a bit for each");

const char *elf_private_name(uint32_t set)
{
    return private_names[__builtin_ctz(set)];
}

#if defined __x86_64__
enum { NATIVE_MACHINE = EM_X86_64 };
#elif defined __aarch64__
enum { NATIVE_MACHINE = EM_AARCH64 };
#else
#error "which ELF machine is this?"
#endif

static void sanitizer_note(struct elf_facts *facts, const char *name)
{
    snprintf(facts->sanitizer, sizeof facts->sanitizer, "%s", name);
}

/* Of a dynamic symbol. One that is needed weakly does not count: who does so looks first whether it
 * is there. */
static void private_name_note(struct elf_facts *facts, const char *name, const GElf_Sym *symbol)
{
    for (size_t i = 0; i < sizeof private_names / sizeof *private_names; i++) {
        if (strcmp(name, private_names[i]) != 0)
            continue;
        if (symbol->st_shndx != SHN_UNDEF)
            facts->private_definitions |= 1u << i;
        else if (GELF_ST_BIND(symbol->st_info) == STB_GLOBAL)
            facts->private_imports |= 1u << i;
    }
}

static void symbol_note(struct elf_facts *facts, const char *name, const GElf_Sym *symbol)
{
    bool defined = symbol->st_shndx != SHN_UNDEF;
    bool global = GELF_ST_BIND(symbol->st_info) != STB_LOCAL;
    if (defined && global && strcmp(name, "malloc") == 0)
        facts->defines_malloc = true;
    for (size_t i = 0; i < sizeof inner_allocators / sizeof *inner_allocators; i++)
        if (defined && strcmp(name, inner_allocators[i]) == 0)
            facts->inner_allocator = true;
    for (size_t i = 0; i < sizeof sanitizers / sizeof *sanitizers; i++)
        if (strcmp(name, sanitizers[i].symbol) == 0)
            sanitizer_note(facts, sanitizers[i].name);
}

static void symbols_read(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
                         struct elf_facts *facts)
{
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || header->sh_entsize == 0)
        return;
    size_t count = data->d_size / header->sh_entsize;
    for (size_t i = 0; i < count; i++) {
        GElf_Sym symbol;
        const char *name = gelf_getsym(data, (int)i, &symbol)
                               ? elf_strptr(elf, header->sh_link, symbol.st_name)
                               : NULL;
        if (name)
            symbol_note(facts, name, &symbol);
        if (name && header->sh_type == SHT_DYNSYM)
            private_name_note(facts, name, &symbol);
    }
}

static void needed_note(struct elf_facts *facts, const char *library)
{
    for (size_t i = 0; i < sizeof sanitizer_libraries / sizeof *sanitizer_libraries; i++)
        if (strncmp(library, sanitizer_libraries[i].library,
                    strlen(sanitizer_libraries[i].library)) == 0)
            sanitizer_note(facts, sanitizer_libraries[i].name);
    if (allocator_of_library(library))
        snprintf(facts->allocator, sizeof facts->allocator, "%s", library);
}

static void dynamic_read(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
                         struct elf_facts *facts)
{
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || header->sh_entsize == 0)
        return;
    size_t count = data->d_size / header->sh_entsize;
    for (size_t i = 0; i < count; i++) {
        GElf_Dyn entry;
        if (!gelf_getdyn(data, (int)i, &entry) || entry.d_tag != DT_NEEDED)
            continue;
        const char *library = elf_strptr(elf, header->sh_link, entry.d_un.d_val);
        if (library)
            needed_note(facts, library);
    }
}

static void sections_read(Elf *elf, struct elf_facts *facts)
{
    size_t names;
    if (elf_getshdrstrndx(elf, &names))
        return; /* stripped of its sections: then these facts stay unknown */
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header))
            continue;
        const char *name = elf_strptr(elf, names, header.sh_name);
        if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM)
            symbols_read(elf, section, &header, facts);
        else if (header.sh_type == SHT_DYNAMIC)
            dynamic_read(elf, section, &header, facts);
        else if (name &&
                 (strcmp(name, ".note.go.buildid") == 0 || strcmp(name, ".go.buildinfo") == 0))
            facts->go = true;
    }
}

static void interpreter_read(Elf *elf, int file, struct elf_facts *facts)
{
    size_t count;
    if (elf_getphdrnum(elf, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_INTERP)
            continue;
        facts->interpreted = true;
        size_t length = segment.p_filesz < sizeof facts->interpreter
                            ? segment.p_filesz
                            : sizeof facts->interpreter - 1;
        ssize_t got = pread(file, facts->interpreter, length, (off_t)segment.p_offset);
        facts->interpreter[got > 0 ? got : 0] = '\0';
    }
}

static void elf_read(Elf *elf, int file, struct elf_facts *facts)
{
    GElf_Ehdr header;
    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
        return;
    const unsigned char native_order =
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    facts->elf = true;
    facts->native = header.e_ident[EI_CLASS] == ELFCLASS64 &&
                    header.e_ident[EI_DATA] == native_order && header.e_machine == NATIVE_MACHINE;
    facts->executable = header.e_type == ET_EXEC || header.e_type == ET_DYN;
    if (!facts->native)
        return;
    interpreter_read(elf, file, facts);
    sections_read(elf, facts);
}

void elf_facts_read(const char *path, struct elf_facts *ret)
{
    *ret = (struct elf_facts){0};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0)
        return;
    ret->readable = true;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(file, ELF_C_READ_MMAP, NULL);
    if (elf) {
        elf_read(elf, file, ret);
        elf_end(elf);
    }
    close(file);
}
