/* SPDX-License-Identifier: MIT */
#include "ready.h"

#include "options.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what is asked for ---------------------------------------------------------------------- */

int ready_output_init(struct ready *ret, const char *pattern, char *message, size_t size)
{
    *ret = (struct ready){.kind = READY_OUTPUT};
    int error = regcomp(&ret->pattern, pattern, REG_EXTENDED | REG_NOSUB);
    if (!error)
        return 0;
    char why[128];
    regerror(error, &ret->pattern, why, sizeof why);
    snprintf(message, size, "--ready-output '%s': %s; give an extended regular expression", pattern,
             why);
    return -1;
}

static bool connects(int family, const struct sockaddr *address, socklen_t length)
{
    const struct timeval moment = {.tv_usec = 100000};
    int connection = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return false;
    /* To oneself: answered at once, but where a filter drops it or too many are waiting already. */
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
    bool ret = connect(connection, address, length) == 0;
    close(connection);
    return ret;
}

static bool port_accepts(uint16_t port)
{
    const struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return connects(AF_INET, (const struct sockaddr *)&four, sizeof four) ||
           connects(AF_INET6, (const struct sockaddr *)&six, sizeof six);
}

int ready_port_init(struct ready *ret, const char *port, char *message, size_t size)
{
    uint64_t number;
    if (!parse_count(port, &number) || number < 1 || number > UINT16_MAX) {
        snprintf(message, size, "--ready-port %s: must be a number from 1 to 65535", port);
        return -1;
    }
    *ret = (struct ready){.kind = READY_PORT, .port = (uint16_t)number};
    if (!port_accepts(ret->port))
        return 0;
    snprintf(message, size, "--ready-port %s: something listens there already; stop it first",
             port);
    return -1;
}

int ready_file_init(struct ready *ret, const char *path, char *message, size_t size)
{
    *ret = (struct ready){.kind = READY_FILE, .path = path};
    if (access(path, F_OK) == 0) {
        snprintf(message, size, "--ready-file %s: exists already; remove it first", path);
        return -1;
    }
    struct ready_watch watch;
    int failed = ready_watch_init(&watch, ret);
    if (failed)
        snprintf(message, size, "--ready-file %s: its directory cannot be watched: %s; create it",
                 path, strerror(errno));
    ready_watch_deinit(&watch);
    return failed;
}

void ready_deinit(struct ready *ready)
{
    if (ready->kind == READY_OUTPUT)
        regfree(&ready->pattern);
    ready->kind = READY_NONE;
}

/* ---- one run -------------------------------------------------------------------------------- */

int ready_watch_init(struct ready_watch *ret, const struct ready *ready)
{
    *ret = (struct ready_watch){.ready = ready, .inotify = -1};
    if (ready->kind != READY_FILE)
        return 0;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", ready->path);
    ret->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (ret->inotify < 0)
        return -1;
    return inotify_add_watch(ret->inotify, dirname(path), IN_CREATE | IN_MOVED_TO) < 0 ? -1 : 0;
}

void ready_watch_deinit(struct ready_watch *watch)
{
    if (watch->inotify >= 0)
        close(watch->inotify);
    watch->inotify = -1;
}

/* A line is looked at as it grows: a prompt may never end in a newline. */
bool ready_in_output(struct ready_watch *watch, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool full = watch->length == sizeof watch->line - 1;
        if (text[i] != '\n' && !full)
            watch->line[watch->length++] = text[i] ? text[i] : ' ';
        if (text[i] == '\n' || full || i + 1 == length) {
            watch->line[watch->length] = '\0';
            if (regexec(&watch->ready->pattern, watch->line, 0, NULL, 0) == 0)
                return true;
        }
        if (text[i] == '\n' || full)
            watch->length = 0;
    }
    return false;
}

bool ready_now(struct ready_watch *watch)
{
    char events[4096];
    switch (watch->ready->kind) {
    case READY_PORT:
        return port_accepts(watch->ready->port);
    case READY_FILE:
        while (read(watch->inotify, events, sizeof events) > 0)
            ; /* which file it was does not matter: the one we want is looked up */
        return access(watch->ready->path, F_OK) == 0;
    default:
        return false;
    }
}

uint64_t ready_next_look_ns(uint64_t since_start_ns)
{
    const uint64_t least = 1000000;
    return since_start_ns / 100 > least ? since_start_ns / 100 : least;
}
