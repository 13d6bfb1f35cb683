/* SPDX-License-Identifier: MIT */
#include "object.h"

#include "debuginfo.h"
#include "analyze_memory.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct symbol {
    uint64_t start;
    uint64_t end;
    const char *name;
    int rank; /* of several names for one place, the one to show: higher is better */
};

struct object {
    Dwfl *dwfl;
    Dwfl_Module *module;
    GElf_Addr bias; /* libdwfl's address = bias + the object's own */
    bool loaded;    /* the tables below were looked for */
    struct debuginfo *debuginfo;
    GElf_Addr debug_shift;  /* the DWARF's address = the object's own + debug_shift */
    struct symbol *symbols; /* by start, none overlapping */
    size_t symbol_count;
};

/* ---- opening --------------------------------------------------------------------------------- */

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
};

static int open_regular(const char *path, struct stat *status, const char **why)
{
    /* O_NONBLOCK: the path comes from a file we do not trust, and may lead to a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        *why = errno == ENOENT ? "is no longer there" : "cannot be opened";
        return -1;
    }
    if (fstat(fd, status) == 0 && S_ISREG(status->st_mode))
        return fd;
    close(fd);
    *why = "is not a regular file";
    return -1;
}

static bool is_the_one_recorded(Dwfl_Module *found, const struct malloctap_module *recorded,
                                const struct stat *status, uint64_t recorded_ns)
{
    const unsigned char *bits;
    GElf_Addr address;
    int size = dwfl_module_build_id(found, &bits, &address);
    if (recorded->build_id_size)
        return size > 0 && (uint32_t)size == recorded->build_id_size &&
               !memcmp(bits, recorded->build_id, recorded->build_id_size);
    return size <= 0 && (uint64_t)status->st_mtime <= recorded_ns / 1000000000u;
}

struct object *object_open(const struct malloctap_module *module, uint64_t recorded_ns,
                           const char **why)
{
    struct stat status;
    int fd = open_regular(module->path, &status, why);
    if (fd < 0)
        return NULL;
    struct object *object = memory_zeroed(1, sizeof *object);
    GElf_Addr bias;
    object->dwfl = dwfl_begin(&callbacks);
    if (object->dwfl)
        object->module = dwfl_report_offline(object->dwfl, module->path, module->path, fd);
    if (!object->module) { /* with success libdwfl owns the descriptor */
        close(fd);
        *why = "is not a readable ELF object";
    } else if (dwfl_report_end(object->dwfl, NULL, NULL),
               !dwfl_module_getelf(object->module, &bias)) {
        *why = "is not a readable ELF object";
    } else if (!is_the_one_recorded(object->module, module, &status, recorded_ns)) {
        *why = "has changed since the recording";
    } else {
        object->bias = bias;
        return object;
    }
    object_close(object);
    return NULL;
}

void object_close(struct object *object)
{
    if (!object)
        return;
    debuginfo_destroy(object->debuginfo);
    free(object->symbols);
    if (object->dwfl)
        dwfl_end(object->dwfl);
    free(object);
}

/* ---- symbol table ---------------------------------------------------------------------------- */

/* Of `malloc`, `__libc_malloc` and `__malloc_alias` the reader knows the first. */
static int symbol_rank(const GElf_Sym *symbol, const char *name)
{
    int binding = GELF_ST_BIND(symbol->st_info);
    int rank = binding == STB_GLOBAL ? 20 : binding == STB_WEAK ? 10 : 0;
    return rank - (int)strspn(name, "_");
}

static int compare_symbols(const void *left, const void *right)
{
    const struct symbol *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return strcmp(a->name, b->name);
}

static bool is_code(const GElf_Sym *symbol, GElf_Word section, const char *name)
{
    int type = GELF_ST_TYPE(symbol->st_info);
    if (section == SHN_UNDEF || section == SHN_ABS || !name || !*name)
        return false;
    /* Assembly often gives its functions no type. */
    return type == STT_FUNC || type == STT_GNU_IFUNC ||
           (type == STT_NOTYPE && GELF_ST_BIND(symbol->st_info) == STB_GLOBAL);
}

/* Keep one name a place. A symbol without a size (assembly) reaches to the next one; one whose size
 * is known does not, so that code of a stripped static function is not given to its neighbour. */
static void symbols_finish(struct symbol *symbols, size_t *count)
{
    size_t kept = 0;
    if (*count)
        qsort(symbols, *count, sizeof *symbols, compare_symbols);
    for (size_t i = 0; i < *count; i++) {
        if (kept && symbols[kept - 1].start == symbols[i].start) {
            if (symbols[kept - 1].end < symbols[i].end)
                symbols[kept - 1].end = symbols[i].end;
        } else {
            if (kept && symbols[kept - 1].end == symbols[kept - 1].start)
                symbols[kept - 1].end = symbols[i].start;
            symbols[kept++] = symbols[i];
        }
    }
    *count = kept;
}

static void symbols_load(struct object *object)
{
    int total = dwfl_module_getsymtab(object->module);
    size_t capacity = 0;
    for (int i = 1; i < total; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        GElf_Word section;
        const char *name =
            dwfl_module_getsym_info(object->module, i, &symbol, &address, &section, NULL, NULL);
        if (!is_code(&symbol, section, name))
            continue;
        object->symbols =
            memory_grow(object->symbols, object->symbol_count, &capacity, sizeof *object->symbols);
        object->symbols[object->symbol_count++] = (struct symbol){
            .start = address - object->bias,
            .end = address - object->bias + symbol.st_size,
            .name = name,
            .rank = symbol_rank(&symbol, name),
        };
    }
    symbols_finish(object->symbols, &object->symbol_count);
}

static const char *symbol_at(const struct object *object, uint64_t address)
{
    size_t first = 0, end = object->symbol_count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (object->symbols[middle].start <= address)
            first = middle + 1;
        else
            end = middle;
    }
    if (!first || address >= object->symbols[first - 1].end)
        return NULL;
    return object->symbols[first - 1].name;
}

/* ---- one address ----------------------------------------------------------------------------- */

static void load(struct object *object)
{
    GElf_Addr debug_bias;
    Dwarf *dwarf = dwfl_module_getdwarf(object->module, &debug_bias);
    object->loaded = true;
    if (dwarf) {
        object->debuginfo = debuginfo_create(dwarf);
        object->debug_shift = object->bias - debug_bias;
    }
    symbols_load(object);
}

size_t object_resolve(struct object *object, uint64_t address,
                      struct object_frame frames[OBJECT_FRAMES_MAX])
{
    if (!object->loaded)
        load(object);
    size_t count = 0;
    if (object->debuginfo)
        count = debuginfo_resolve(object->debuginfo, address + object->debug_shift, frames);
    if (!count) {
        frames[0] = (struct object_frame){0};
        count = 1;
    }
    if (!frames[count - 1].function)
        frames[count - 1].function = symbol_at(object, address);
    return count;
}
