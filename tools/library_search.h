/* SPDX-License-Identifier: MIT */
/* library_search.h - find a shared library where the loader would look for it. */
#ifndef TOOLS_LIBRARY_SEARCH_H
#define TOOLS_LIBRARY_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The path of the first library for this machine whose file name matches the fnmatch() pattern: in
 * LD_LIBRARY_PATH, the loader's cache, the standard directories and those where clang keeps its
 * runtimes, in this order. False: there is none.
 */
bool library_search(const char *pattern, char *ret, size_t size);

/* The same in one cache file; for the tests. */
bool library_search_cache(const char *cache_path, const char *pattern, char *ret, size_t size);

#endif
