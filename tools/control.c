/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_NS 1000000l

/* NULL: it is no recording of this version, or cannot be written. */
static struct malloctap_header *map_header(const char *path)
{
    struct stat status;
    struct malloctap_header *header = MAP_FAILED;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size >= (off_t)MALLOCTAP_HEADER_SIZE)
        header = mmap(NULL, MALLOCTAP_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (header == MAP_FAILED) {
        errno = errno ? errno : EINVAL;
        return NULL;
    }
    if (header->magic == MALLOCTAP_MAGIC && header->version == MALLOCTAP_VERSION &&
        header->byte_order == MALLOCTAP_BYTE_ORDER)
        return header;
    munmap(header, MALLOCTAP_HEADER_SIZE);
    errno = EINVAL;
    return NULL;
}

static bool is_live(const struct malloctap_header *header)
{
    return header->state == MALLOCTAP_STATE_RUNNING &&
           (kill((pid_t)header->pid, 0) == 0 || errno == EPERM);
}

void control_close(struct control *control)
{
    munmap(control->header, MALLOCTAP_HEADER_SIZE);
}

int control_open_file(const char *path, struct control *ret, char *message, size_t size)
{
    errno = 0;
    struct malloctap_header *header = map_header(path);
    if (header == NULL) {
        snprintf(message, size, "%s: %s; give a process's number or the recording it is writing",
                 path, errno == EINVAL ? "not a recording of this version" : strerror(errno));
        return -1;
    }
    if (!is_live(header)) {
        snprintf(message, size, "%s: process %u, which wrote it, has ended", path, header->pid);
        munmap(header, MALLOCTAP_HEADER_SIZE);
        return -1;
    }
    ret->header = header;
    snprintf(ret->path, sizeof ret->path, "%s", path);
    return 0;
}

/* The path at the end of a line of /proc/PID/maps; NULL when it maps no file. */
static char *mapped_path(char *line)
{
    char *path = strchr(line, '/');
    if (path != NULL)
        path[strcspn(path, "\n")] = '\0';
    return path;
}

/* A child maps none of its parent's recording, so what a process maps and says it writes is its. */
int control_open_process(pid_t pid, struct control *ret, char *message, size_t size)
{
    char maps_path[64], *line = NULL;
    size_t room = 0;
    snprintf(maps_path, sizeof maps_path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(maps_path, "re");
    if (maps == NULL) {
        snprintf(message, size, "process %d: %s", (int)pid,
                 errno == ENOENT ? "there is none" : strerror(errno));
        return -1;
    }
    struct malloctap_header *header = NULL;
    while (header == NULL && getline(&line, &room, maps) > 0) {
        char *path = mapped_path(line);
        if (path == NULL || strstr(path, ".mtap") == NULL)
            continue;
        header = map_header(path);
        if (header != NULL)
            snprintf(ret->path, sizeof ret->path, "%s", path);
    }
    free(line);
    fclose(maps);
    if (header == NULL) {
        snprintf(
            message, size,
            "process %d: writes no recording that could be opened; start it with malloctap run",
            (int)pid);
        return -1;
    }
    ret->header = header;
    return 0;
}

struct control_orders control_current(const struct control *control)
{
    const struct malloctap_control *current = &control->header->control;
    return (struct control_orders){current->mode, current->calls, current->bytes};
}

bool control_send(struct control *control, const struct control_orders *orders,
                  uint64_t patience_ns)
{
    struct malloctap_control *current = &control->header->control;
    uint32_t mode = orders->mode ? orders->mode : control->header->mode;
    __atomic_fetch_or(&current->modes, 1u << mode, __ATOMIC_RELAXED);
    __atomic_store_n(&current->mode, orders->mode, __ATOMIC_RELAXED);
    __atomic_store_n(&current->calls, orders->calls, __ATOMIC_RELAXED);
    __atomic_store_n(&current->bytes, orders->bytes, __ATOMIC_RELAXED);
    /* Release: a thread that sees the generation sees what it is about. */
    uint32_t generation = __atomic_add_fetch(&current->generation, 1, __ATOMIC_RELEASE);
    const struct timespec pause = {0, LOOK_AGAIN_NS};
    for (uint64_t waited = 0;; waited += LOOK_AGAIN_NS) {
        if ((int32_t)(__atomic_load_n(&current->seen, __ATOMIC_RELAXED) - generation) >= 0)
            return true;
        if (waited >= patience_ns || !is_live(control->header))
            return false;
        nanosleep(&pause, NULL);
    }
}
