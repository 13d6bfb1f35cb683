/* SPDX-License-Identifier: MIT */
#include "reader_recording.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Is a file with this inode number among the mappings of /proc/PID/maps? */
static bool maps_inode(FILE *maps, unsigned long long inode)
{
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (!found && getline(&line, &capacity, maps) > 0) {
        unsigned long long mapped;
        found = sscanf(line, "%*s %*s %*s %*s %llu", &mapped) == 1 && mapped == inode;
    }
    free(line);
    return found;
}

/*
 * A process of that number is not enough: the number may be in use again, or the process may have
 * become another program by exec. The writer keeps its recording mapped until it ends.
 */
bool reader_writer_alive(const struct malloctap_recording *recording)
{
    uint32_t pid = recording->header.pid;
    if (recording->file->packed != NULL)
        return false;
    if (pid == 0 || pid > INT_MAX || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return false;
    struct stat status;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%u/maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return true; /* not ours to look at */
    bool alive = fstat(recording->file->fd, &status) != 0 || maps_inode(maps, status.st_ino);
    fclose(maps);
    return alive;
}
