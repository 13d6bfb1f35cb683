/* SPDX-License-Identifier: MIT */
/* allocators.h - allocators known by name, and where they are installed. */
#ifndef TOOLS_ALLOCATORS_H
#define TOOLS_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>

/* Is there such a name? */
bool allocator_known(const char *name);

/* Path of its library. False: it is not installed (or not known). */
bool allocator_find(const char *name, char *ret, size_t size);

/* The Debian package that has it; NULL: none does. */
const char *allocator_package(const char *name);

/* Name of the allocator that a library's file name belongs to; NULL: none. */
const char *allocator_of_library(const char *file_name);

/* Names of those installed, or of all, separated by commas. */
void allocators_installed(char *ret, size_t size);
void allocators_all(char *ret, size_t size);

#endif
