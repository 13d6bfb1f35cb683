/* SPDX-License-Identifier: MIT */
#include "fate.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int fate_watch(const char *directory)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch >= 0)
        inotify_add_watch(watch, directory, IN_CREATE | IN_DELETE | IN_MOVE);
    return watch;
}

struct trace {
    enum fate fate;
    uint32_t move; /* the move under way; 0: none */
    char *name;
};

static void follow(struct trace *trace, const struct inotify_event *event)
{
    if ((event->mask & IN_MOVED_TO) && trace->move != 0 && event->cookie == trace->move) {
        snprintf(trace->name, NAME_MAX + 1, "%s", event->name);
        trace->fate = FATE_RENAMED;
    } else if (event->len > 0 && strcmp(event->name, trace->name) == 0) {
        trace->move = event->mask & IN_MOVED_FROM ? event->cookie : 0;
        if (event->mask & IN_CREATE)
            trace->fate = FATE_GONE;
        else if (event->mask & IN_DELETE)
            trace->fate = FATE_DELETED;
        else if (event->mask & IN_MOVED_FROM)
            trace->fate = FATE_MOVED;
    }
}

enum fate fate_find(int watch, const char *name, char new_name[NAME_MAX + 1])
{
    struct trace trace = {.name = new_name};
    alignas(struct inotify_event) char buffer[4096];
    ssize_t length;
    snprintf(new_name, NAME_MAX + 1, "%s", name);
    while (watch >= 0 && (length = read(watch, buffer, sizeof buffer)) > 0)
        for (const char *at = buffer; at < buffer + length;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            follow(&trace, event);
            at += sizeof *event + event->len;
        }
    return trace.fate;
}
