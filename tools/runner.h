/* SPDX-License-Identifier: MIT */
/*
 * runner.h - run a program once, measure it and its children, and leave none behind.
 *
 * Each run is looked after by a small process of its own. That makes the kernel's figures those of
 * this run alone: processor time of all descendants, daemons included, and a peak memory that did
 * not begin at ours. It ends the program's process group, and whatever left that group, also when
 * we are killed.
 */
#ifndef TOOLS_RUNNER_H
#define TOOLS_RUNNER_H

#include "measures.h"
#include "ready.h"
#include "tap.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The same for every run. */
struct runner_plan {
    const char *path;
    char **argv;
    const char *input;    /* file for standard input, opened anew for each run */
    struct ready ready;   /* READY_NONE: the run ends by itself */
    uint64_t timeout_ns;  /* 0: none */
    uint64_t grace_ns;    /* from SIGTERM to SIGKILL */
    bool any_exit_status; /* one that is not 0 is no failure */
    bool apart; /* not a run of what is compared: no option counts it all the same */
};

enum { RUNNER_FAILURE_MAX = 256 };

struct runner_result {
    pid_t pid;
    bool interrupted;                 /* a signal asked us to stop */
    char failure[RUNNER_FAILURE_MAX]; /* why the run does not count; "": it does */
    struct measures measures;         /* those that the kernel knows */
};

/* What the program prints goes to the file `output`, which is created. `tap` with an empty library:
 * a plain run. */
void runner_run(const struct runner_plan *plan, const struct tap *tap, const char *output,
                struct runner_result *ret);

#endif
