/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char folder[PATH_MAX];

int folder_create(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/malloctap-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

int folder_remove(void **state)
{
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *folder_path(const char *name)
{
    static char paths[8][2 * PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static const char *write_all(const char *name, const void *text, size_t length, mode_t mode)
{
    const char *path = folder_path(name);
    FILE *file = fopen(path, "we");
    if (!file || fwrite(text, 1, length, file) != length || fclose(file) || chmod(path, mode))
        abort();
    return path;
}

const char *folder_write(const char *name, const char *text, mode_t mode)
{
    return write_all(name, text, strlen(text), mode);
}

const char *folder_copy(const char *name, const char *from, mode_t mode)
{
    FILE *file = fopen(from, "re");
    char *text = NULL;
    size_t length = 0, got = 0;
    do {
        text = realloc(text, length + 65536);
        if (!file || !text)
            abort();
        got = fread(text + length, 1, 65536, file);
        length += got;
    } while (got);
    fclose(file);
    const char *path = write_all(name, text, length, mode);
    free(text);
    return path;
}
