/* SPDX-License-Identifier: MIT */
#include "debuginfo.h"

#include "analyze_memory.h"

#include <dwarf.h>
#include <stdlib.h>

/* Deeper nesting than any compiler writes; bounds the walk of a damaged file. */
#define NESTING_MAX 200

/* Half-open range of addresses that belongs to a unit or to a function. */
struct range {
    Dwarf_Addr low;
    Dwarf_Addr high;
    union {
        size_t unit;        /* index */
        Dwarf_Off function; /* offset of its entry */
    };
};

struct ranges {
    struct range *items;
    size_t count;
    size_t capacity;
};

struct unit {
    Dwarf_Die lines;   /* the entry that has the line table */
    Dwarf_Die entries; /* the root of the functions: the same, or that of a split unit */
    struct ranges functions;
    bool indexed;
};

struct debuginfo {
    struct unit *units;
    size_t unit_count;
    size_t unit_capacity;
    struct ranges ranges;
};

/* ---- ranges ---------------------------------------------------------------------------------- */

static int compare_ranges(const void *left, const void *right)
{
    const struct range *a = left, *b = right;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return (a->high < b->high) - (a->high > b->high); /* the narrower later: it is found first */
}

static void ranges_sort(struct ranges *ranges)
{
    if (ranges->count)
        qsort(ranges->items, ranges->count, sizeof *ranges->items, compare_ranges);
}

/* Add what `die` covers, as copies of `owner`. Ranges from 0 are those of functions that the linker
 * dropped; nothing is loaded there. */
static void ranges_add(struct ranges *ranges, Dwarf_Die *die, struct range owner)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t next = 0;
    while ((next = dwarf_ranges(die, next, &base, &low, &high)) > 0) {
        if (low == 0 || low >= high)
            continue;
        ranges->items =
            memory_grow(ranges->items, ranges->count, &ranges->capacity, sizeof *ranges->items);
        owner.low = low;
        owner.high = high;
        ranges->items[ranges->count++] = owner;
    }
}

static const struct range *ranges_find(const struct ranges *ranges, Dwarf_Addr address)
{
    size_t first = 0, end = ranges->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (ranges->items[middle].low <= address)
            first = middle + 1;
        else
            end = middle;
    }
    return first && address < ranges->items[first - 1].high ? &ranges->items[first - 1] : NULL;
}

/* ---- indexes --------------------------------------------------------------------------------- */

struct debuginfo *debuginfo_create(Dwarf *dwarf)
{
    struct debuginfo *debuginfo = memory_zeroed(1, sizeof *debuginfo);
    Dwarf_CU *cu = NULL;
    Dwarf_Die root, split;
    uint8_t type;
    while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &root, &split) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        debuginfo->units = memory_grow(debuginfo->units, debuginfo->unit_count,
                                       &debuginfo->unit_capacity, sizeof *debuginfo->units);
        debuginfo->units[debuginfo->unit_count] = (struct unit){
            .lines = root,
            .entries = type == DW_UT_skeleton && split.addr ? split : root,
        };
        ranges_add(&debuginfo->ranges, &root, (struct range){.unit = debuginfo->unit_count});
        debuginfo->unit_count++;
    }
    ranges_sort(&debuginfo->ranges);
    return debuginfo;
}

void debuginfo_destroy(struct debuginfo *debuginfo)
{
    if (!debuginfo)
        return;
    for (size_t i = 0; i < debuginfo->unit_count; i++)
        free(debuginfo->units[i].functions.items);
    free(debuginfo->units);
    free(debuginfo->ranges.items);
    free(debuginfo);
}

/* Whether functions with code can stand below an entry of this kind. */
static bool may_hold_functions(int tag)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type: /* Rust: methods of an enum */
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
        return true;
    default:
        return false;
    }
}

static void collect_functions(struct ranges *functions, Dwarf_Die *parent, int depth)
{
    Dwarf_Die child;
    if (depth > NESTING_MAX || dwarf_child(parent, &child) != 0)
        return;
    do {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_subprogram)
            ranges_add(functions, &child, (struct range){.function = dwarf_dieoffset(&child)});
        if (may_hold_functions(tag))
            collect_functions(functions, &child, depth + 1);
    } while (dwarf_siblingof(&child, &child) == 0);
}

static bool unit_function(struct unit *unit, Dwarf_Addr address, Dwarf_Die *ret)
{
    if (!unit->indexed) {
        collect_functions(&unit->functions, &unit->entries, 0);
        ranges_sort(&unit->functions);
        unit->indexed = true;
    }
    const struct range *range = ranges_find(&unit->functions, address);
    return range && dwarf_offdie(dwarf_cu_getdwarf(unit->entries.cu), range->function, ret);
}

/* ---- one address ----------------------------------------------------------------------------- */

/* The child of a scope that holds the address: a block or a function inlined there. */
static bool inner_scope(Dwarf_Die *scope, Dwarf_Addr address, Dwarf_Die *ret)
{
    if (dwarf_child(scope, ret) != 0)
        return false;
    do {
        switch (dwarf_tag(ret)) {
        case DW_TAG_lexical_block:
        case DW_TAG_inlined_subroutine:
        case DW_TAG_try_block:
        case DW_TAG_catch_block:
            if (dwarf_haspc(ret, address) > 0)
                return true;
        }
    } while (dwarf_siblingof(ret, ret) == 0);
    return false;
}

static const char *function_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
        name = dwarf_formstring(&attribute);
    return name ? name : dwarf_diename(die);
}

static Dwarf_Word constant(Dwarf_Die *die, unsigned int name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    dwarf_formudata(dwarf_attr(die, name, &attribute), &value);
    return value;
}

/* Where the function inlined at `call` was called from: the line of the frame around it. */
static void call_place(struct unit *unit, Dwarf_Die *call, struct object_frame *ret)
{
    Dwarf_Files *files;
    size_t count;
    Dwarf_Word file = constant(call, DW_AT_call_file);
    ret->line = (uint32_t)constant(call, DW_AT_call_line);
    if (dwarf_getsrcfiles(&unit->lines, &files, &count) == 0 && file < count)
        ret->file = dwarf_filesrc(files, file, NULL, NULL);
}

static void line_place(struct unit *unit, Dwarf_Addr address, struct object_frame *ret)
{
    Dwarf_Line *line = dwarf_getsrc_die(&unit->lines, address);
    int number;
    if (!line)
        return;
    ret->file = dwarf_linesrc(line, NULL, NULL);
    if (dwarf_lineno(line, &number) == 0)
        ret->line = (uint32_t)number;
}

size_t debuginfo_resolve(struct debuginfo *debuginfo, uint64_t address,
                         struct object_frame frames[OBJECT_FRAMES_MAX])
{
    const struct range *range = ranges_find(&debuginfo->ranges, address);
    if (!range)
        return 0;
    struct unit *unit = &debuginfo->units[range->unit];
    Dwarf_Die calls[OBJECT_FRAMES_MAX], scope, inner;
    size_t count = 0; /* calls[0] is the function itself, calls[i] is inlined into calls[i - 1] */
    if (unit_function(unit, address, &scope)) {
        calls[count++] = scope;
        for (; count < OBJECT_FRAMES_MAX && inner_scope(&scope, address, &inner); scope = inner)
            if (dwarf_tag(&inner) == DW_TAG_inlined_subroutine)
                calls[count++] = inner;
    }
    frames[0] = (struct object_frame){0};
    line_place(unit, address, &frames[0]);
    for (size_t i = 0; i < count; i++) {
        Dwarf_Die *call = &calls[count - 1 - i];
        frames[i].function = function_name(call);
        if (i + 1 < count) {
            frames[i + 1] = (struct object_frame){0};
            call_place(unit, call, &frames[i + 1]);
        }
    }
    return count ? count : 1;
}
