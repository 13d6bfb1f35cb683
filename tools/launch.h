/* SPDX-License-Identifier: MIT */
/* launch.h - start a program with the tap set up. */
#ifndef TOOLS_LAUNCH_H
#define TOOLS_LAUNCH_H

#include "tap.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * What the process had before it took over signals for waiting, and what a program it starts must
 * get back: a program must not notice who started it.
 */
struct launch_signals {
    sigset_t mask;
    struct sigaction child; /* an ignored SIGCHLD would keep us from waiting */
};

/* Block `signals` and SIGCHLD, to be waited for; keep what was. */
void launch_signals_take(const sigset_t *signals, struct launch_signals *ret);
void launch_signals_restore(const struct launch_signals *signals);

struct launch {
    const char *path;
    char **argv;
    const struct tap *tap;
    const struct launch_signals *signals;
    int input; /* descriptors for the program; -1: ours */
    int output;
    int errors;
    bool own_group; /* a process group of its own, that dies with its parent */
};

/* The program's pid once it is running, or -1 with errno set when it could not be started. */
pid_t launch_start(const struct launch *launch);

/* What a shell says of such an end: its exit status, or 128 + the signal. */
int launch_exit_status(int wait_status);

#endif
