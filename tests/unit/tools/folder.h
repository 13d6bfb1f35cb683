/* SPDX-License-Identifier: MIT */
/* folder.h - a private folder for a test's files. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <limits.h>
#include <sys/types.h>

/* cmocka group fixtures: create the folder, remove it with all in it. */
int folder_create(void **state);
int folder_remove(void **state);

extern char folder[PATH_MAX];

/* FOLDER/name, valid until the eighth call from now. */
const char *folder_path(const char *name);

/* Write a file there, or copy one, with this mode; its path as above. */
const char *folder_write(const char *name, const char *text, mode_t mode);
const char *folder_copy(const char *name, const char *from, mode_t mode);

#endif
