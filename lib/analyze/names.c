/* SPDX-License-Identifier: MIT */
#include "names.h"

#include "analyze_memory.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h ^ (h >> 32);
}

static struct names_entry *slot(const struct names *names, const char *text)
{
    for (size_t i = hash(text);; i++) {
        struct names_entry *entry = &names->entries[i & (names->capacity - 1)];
        if (!entry->text || !strcmp(entry->text, text))
            return entry;
    }
}

static void make_room(struct names *names)
{
    if (2 * (names->count + 1) <= names->capacity)
        return;
    struct names old = *names;
    names->capacity = old.capacity ? 2 * old.capacity : 256;
    names->entries = memory_zeroed(names->capacity, sizeof *names->entries);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].text)
            *slot(names, old.entries[i].text) = old.entries[i];
    free(old.entries);
}

static struct names_entry *intern(struct names *names, const char *text)
{
    make_room(names);
    struct names_entry *entry = slot(names, text);
    if (!entry->text) {
        entry->text = memory_copy_text(text);
        names->count++;
    }
    return entry;
}

void names_deinit(struct names *names)
{
    for (size_t i = 0; i < names->capacity; i++)
        free(names->entries[i].text);
    free(names->entries);
    *names = (struct names){0};
}

const char *names_intern(struct names *names, const char *text)
{
    return text ? intern(names, text)->text : NULL;
}

const char *names_demangle(struct names *names, const char *name)
{
    if (!name)
        return NULL;
    struct names_entry *entry = intern(names, name);
    if (entry->readable)
        return entry->readable;
    /* Only names of the mangling schemes: plain C names could mean something else in another. */
    bool mangled = !strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2);
    char *readable = mangled ? cplus_demangle(name, DMGL_AUTO | DMGL_ANSI) : NULL;
    const char *result = readable ? intern(names, readable)->text : entry->text;
    free(readable);
    return slot(names, name)->readable = result; /* interning may have moved the entry */
}
