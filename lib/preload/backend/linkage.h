/* SPDX-License-Identifier: MIT */
/*
 * linkage.h - the loaded objects and their dynamic symbols, without dlsym.
 *
 * dlsym and dlopen may allocate, and their errors are kept for the program to see. So the few
 * symbols that decide where calls go are looked up here, in the objects' own hash tables. Takes the
 * loader's list lock for a moment: for use at the start and on rare paths, not per call.
 */
#ifndef PRELOAD_LINKAGE_H
#define PRELOAD_LINKAGE_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct linked_object {
    const char *path;   /* "" for the main program; valid while the object is loaded */
    const char *soname; /* NULL if it has none */
    uintptr_t start;    /* lowest and one past the highest mapped address */
    uintptr_t end;
    uintptr_t bias;
    const ElfW(Phdr) * segments;
    size_t segment_count;
    const ElfW(Sym) * symbols;
    const char *strings;
    size_t strings_size;
    uintptr_t symbols_end; /* no symbol lies beyond: another table begins there */
    const uint32_t *gnu_hash;
    const uint32_t *sysv_hash;
    const ElfW(Half) * versions;
    struct {
        const ElfW(Rela) * rows;
        size_t bytes;
    } relocations[2]; /* of functions that are called, and the others */
};

/* Call `visit` for each object of the first namespace, in link order, until it returns true;
 * returns whether it did. */
bool linkage_find(bool (*visit)(const struct linked_object *object, void *context), void *context);

/* The first object after the one that holds this code which defines `symbol`; `but` (or NULL) is
 * passed over. */
bool linkage_next_definer(const char *symbol, const struct linked_object *but,
                          struct linked_object *ret);

/* The object that holds this address. */
bool linkage_holder(const void *address, struct linked_object *ret);

/* The main program. */
bool linkage_program(struct linked_object *ret);

/* The object with this DT_SONAME. */
bool linkage_by_soname(const char *soname, struct linked_object *ret);

/* Where the object's own table defines a symbol; NULL if it does not. */
const ElfW(Sym) * linkage_definition(const struct linked_object *object, const char *symbol);

/* Address of a symbol the object defines (an indirect function is resolved); NULL if it does not.
 */
void *linkage_symbol(const struct linked_object *object, const char *symbol);

/* Fill in symbols and names from an object's dynamic section; `ret->bias` is set. False when there
 * are none. */
bool linkage_read_dynamic(const ElfW(Dyn) * dynamic, struct linked_object *ret);

/* Whether the object needs one of these symbols from elsewhere. One that is needed weakly does not
 * count: who does so looks first whether it is there. */
bool linkage_needs(const struct linked_object *object, const char *const *names, size_t count);

/* Whether the object takes one of these symbols from whoever is first in link order, though it may
 * define it itself. */
bool linkage_binds(const struct linked_object *object, const char *const *names, size_t count);

/* Where the object keeps the addresses of these symbols, as offsets from its bias. Returns how many
 * places there are; the first `most` are stored. */
size_t linkage_slots(const struct linked_object *object, const char *const *names, size_t count,
                     uintptr_t *ret, size_t most);

#endif
