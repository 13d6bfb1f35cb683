/* SPDX-License-Identifier: MIT */
/* tap.h - the environment that brings the tap into a program. */
#ifndef TOOLS_TAP_H
#define TOOLS_TAP_H

#include "backend.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { TAP_SETTINGS_MAX = 16 };

struct tap {
    char library[PATH_MAX]; /* libmalloctap.so; "": the program runs untapped */
    const struct backend *backend;
    char output[PATH_MAX]; /* absolute; where the program's recording goes */
    bool output_takes_pid; /* then `output` is cut before ".PID.mtap" */
    struct {
        const char *key;
        const char *value;
    } settings[TAP_SETTINGS_MAX]; /* other options of the preload object */
    size_t setting_count;
};

/* Find libmalloctap.so: $MALLOCTAP_LIB, the build tree, the installation. 0, or -1 after filling
 * `message`. */
int tap_library_find(char *ret, size_t ret_size, char *message, size_t size);

/* Add an option of the preload object; the strings must outlive the tap. */
void tap_set(struct tap *tap, const char *key, const char *value);

/* Path of the recording that a program with this pid will write. */
void tap_output(const struct tap *tap, pid_t pid, char *ret, size_t size);

/*
 * The environment for the program at `path`, with this pid: ours, with the backend's variables,
 * MALLOCTAP, in LD_PRELOAD first the tap, then the backend's library, then what was there before,
 * and in ASAN_OPTIONS leave to start behind them. Allocates; never freed, since what comes next is
 * exec.
 */
char **tap_environment(const struct tap *tap, pid_t pid, const char *path);

#endif
