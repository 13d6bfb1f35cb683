/* SPDX-License-Identifier: MIT */
/* ready.h - when is a service ready? By a line of its output, a port, or a file. */
#ifndef TOOLS_READY_H
#define TOOLS_READY_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ready_kind { READY_NONE, READY_OUTPUT, READY_PORT, READY_FILE };

struct ready {
    enum ready_kind kind;
    regex_t pattern;  /* READY_OUTPUT: a line that matches */
    uint16_t port;    /* READY_PORT: accepts connections on this machine */
    const char *path; /* READY_FILE: exists */
};

/* Each: 0, or -1 after filling `message`. What says "ready" must not be there yet. */
int ready_output_init(struct ready *ret, const char *pattern, char *message, size_t size);
int ready_port_init(struct ready *ret, const char *port, char *message, size_t size);
int ready_file_init(struct ready *ret, const char *path, char *message, size_t size);
void ready_deinit(struct ready *ready);

/* Watching one run, from before its start. */
struct ready_watch {
    const struct ready *ready;
    int inotify; /* to poll for input; -1: none */
    char line[4096];
    size_t length;
};

int ready_watch_init(struct ready_watch *ret, const struct ready *ready);
void ready_watch_deinit(struct ready_watch *watch);

/* More output of the program. */
bool ready_in_output(struct ready_watch *watch, const char *text, size_t length);

/* Look at the port or the file now. */
bool ready_now(struct ready_watch *watch);

/* How long after the start to look at a port next: nothing in the kernel tells when a port is
 * opened, so the time is known to 1 %, or 1 ms. */
uint64_t ready_next_look_ns(uint64_t since_start_ns);

#endif
