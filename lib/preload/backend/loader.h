/* SPDX-License-Identifier: MIT */
/*
 * loader.h - the loader's list of objects, asked for past whoever stands in front.
 *
 * The runtimes of sanitizers put a dl_iterate_phdr() of their own before the C library's, and it
 * must not be called before they have started; but the tap's first call comes from the loader
 * itself. So the C library's own is found by hand, in the list that the loader keeps for debuggers.
 * Nothing here allocates.
 */
#ifndef PRELOAD_LOADER_H
#define PRELOAD_LOADER_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/* As dl_iterate_phdr(3), under the same lock of the loader. */
int loader_iterate(int (*visit)(struct dl_phdr_info *info, size_t size, void *context),
                   void *context);

/* The C library's own definition of a function, whoever else defines one; NULL if it has none. */
void *loader_libc_function(const char *name);

/* Whether there are objects in other namespaces (dlmopen, LD_AUDIT), with a C library of their own.
 */
bool loader_other_namespaces(void);

#endif
