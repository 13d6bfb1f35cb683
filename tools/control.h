/* SPDX-License-Identifier: MIT */
/* control.h - tell a tapped process, through its recording, what to record from now on. */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A live recording, open for orders. */
struct control {
    struct malloctap_header *header; /* mapped shared */
    char path[4096];
};

/* Find the recording that process `pid` is writing, or open the one at `path`. 0, or -1 after
 * filling `message`. */
int control_open_process(pid_t pid, struct control *ret, char *message, size_t size);
int control_open_file(const char *path, struct control *ret, char *message, size_t size);
void control_close(struct control *control);

/* Orders: 0 leaves a field as it was at the process's start. */
struct control_orders {
    uint32_t mode; /* enum malloctap_mode */
    uint64_t calls;
    uint64_t bytes;
};

/* What was asked for last. */
struct control_orders control_current(const struct control *control);

/* Ask for it, and wait up to `patience_ns` until some thread obeyed. False: none has yet. */
bool control_send(struct control *control, const struct control_orders *orders,
                  uint64_t patience_ns);

#endif
