/* SPDX-License-Identifier: MIT */
/*
 * unseen.h - programs of a run that the tap is not in, or cannot record.
 *
 * A program that executes another without LD_PRELOAD in its environment, or one that is static or
 * set-user-ID, goes where the tap cannot follow, and nothing in the recordings says so. So whoever
 * started the run looks at its processes from outside: which program each one is, and whether that
 * has the tap's library mapped. A program that cannot see the directory of the recordings, as in a
 * namespace of its own, has the tap but no file; it shows why by the name of a mapping. It looks
 * whenever a recording is let go of, as in an exec, and from time to time; never so often that it
 * takes more than a few percent of a processor. What starts and ends between two looks stays
 * unnoticed.
 */
#ifndef TOOLS_UNSEEN_H
#define TOOLS_UNSEEN_H

#include "output.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct unseen;

/* Begin to look at `program` and what it starts. `library` is the tap, `recordings` the path
 * of the first recording, or how those of all begin. */
struct unseen *unseen_create(pid_t program, const char *library, const char *recordings);
void unseen_destroy(struct unseen *unseen);

/* Look whenever it is time to, until the descriptor `until` can be read. */
void unseen_watch(struct unseen *unseen, int until);

/* The program has ended but is not yet waited for: notice what it was last. */
void unseen_ended(struct unseen *unseen);

/* Say, in one line for the program and one for what it started, what was there without the tap, or
 * could not record, and so has no recording. With `children` false only the program is meant to be
 * recorded. */
void unseen_print(const struct unseen *unseen, const struct output_recordings *recordings,
                  bool children);

#endif
