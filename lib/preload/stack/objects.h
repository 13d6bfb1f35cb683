/* SPDX-License-Identifier: MIT */
/*
 * objects.h - the loaded object that an address lies in.
 *
 * Where the C library has _dl_find_object(), it is asked: no lock, safe in signal handlers and in
 * children. Elsewhere there is only a list taken once at the start: what is loaded later is not
 * known.
 */
#ifndef PRELOAD_STACK_OBJECTS_H
#define PRELOAD_STACK_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object {
    uintptr_t low, high;  /* a range around the address asked for that is the object's alone */
    uintptr_t start, end; /* of everything mapped; what lies in a hole may be another's */
    uintptr_t bias;       /* address = bias + the object's own virtual address */
    const uint8_t *eh_frame_hdr;
    const char *name; /* as the loader knows it; empty: the main program */
};

/* Find out how objects can be found. Called once, with no hook active. Returns whether those loaded
 * later will be found as well. */
bool objects_prepare(void);

bool objects_find(uintptr_t address, struct object *ret);

/* Whether the object is sure to stay for as long as the process lives. */
bool objects_kept(const struct object *object);

/* The object's readable segment around `address`; false when there is none, or when the program
 * headers are not at the start of the object. */
bool objects_segment(const struct object *object, uintptr_t address, uintptr_t *start,
                     uintptr_t *end);

/* Whether the address is in executable memory, as far as the program headers can be found. */
bool objects_executable(const struct object *object, uintptr_t address);

/* The bytes of the object's build-id; 0 when it has none that can be found. */
size_t objects_build_id(const struct object *object, const uint8_t **ret);

#endif
