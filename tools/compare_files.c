/* SPDX-License-Identifier: MIT */
/* compare_files.c - where the files of the runs go, and what is shown of them. */
#include "compare.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A name given with -b may have anything in it. */
void compare_file(const char *directory, const struct compare *compare,
                  const struct compare_item *item, size_t round, const char *suffix, char *ret,
                  size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    char name[64];
    snprintf(name, sizeof name, "%s", item->name);
    for (char *at = name; *(at += strspn(at, plain));)
        *at = '-';
    snprintf(ret, size, "%s/%zu-%s-%zu.%s", directory, (size_t)(item - compare->items) + 1, name,
             round, suffix);
}

void compare_scratch_clear(const struct compare *compare)
{
    DIR *listing = opendir(compare->scratch);
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));)
        unlinkat(dirfd(listing), entry->d_name, 0); /* . and .. are directories and stay */
    closedir(listing);
}

void compare_scratch_remove(const struct compare *compare)
{
    compare_scratch_clear(compare);
    rmdir(compare->scratch);
}

void compare_output_show(const char *path)
{
    enum { SHOWN = 2000 };
    char text[SHOWN + 1];
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    bool cut = fseek(file, -SHOWN, SEEK_END) == 0;
    if (!cut)
        rewind(file);
    text[fread(text, 1, SHOWN, file)] = '\0';
    fclose(file);
    const char *line = text, *newline = cut ? strchr(text, '\n') : NULL;
    if (newline)
        line = newline + 1;
    while (*line) {
        size_t length = strcspn(line, "\n");
        char *printable = strndup(line, length);
        if (!printable)
            abort();
        fputs("  | ", stderr);
        emit_put(stderr, printable);
        fputc('\n', stderr);
        free(printable);
        line += length + (line[length] != '\0');
    }
}
