/* SPDX-License-Identifier: MIT */
/* output.h - where the recordings of a run go, and which there are afterwards. */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include "program_name.h"
#include "tap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Set tap->output: `file`, or with NULL malloctap.PROGRAM.PID.mtap in the current directory.
 * Absolute, so that children that go elsewhere write beside it. With `force`, a recording that is
 * in the way is removed. 0, or -1 after filling `message`.
 */
int output_prepare(struct tap *tap, const char *file, const char *program, bool force,
                   char *message, size_t size);

struct output_recording {
    char *path;
    char *executable;
    struct program_name program;
    char name[16]; /* of its first thread, as the kernel knew it; "": unknown */
    uint32_t pid;
    bool finished;     /* the process came to its regular end */
    bool running;      /* the process is still there */
    uint64_t start_ns; /* since the epoch */
    uint64_t calls;
    uint64_t bytes_requested;
    uint64_t peak_rss_bytes; /* 0: unknown */
    uint64_t children_unrecorded;
};

/* Recordings of one run, those with the most calls first. */
struct output_recordings {
    struct output_recording *rows;
    size_t count;
};

/* How much of the name of a run's first recording the others begin with, too. */
size_t output_stem(const char *name);

/* Find what the run whose first recording would be `path` has written since `since_ns` (wall
 * clock): that one and those of its children, path.PID.mtap. Those that are not written any more
 * are cut to what was used. */
void output_find(const char *path, uint64_t since_ns, struct output_recordings *ret);
void output_recordings_deinit(struct output_recordings *recordings);

/* Its process has ended, at `at_ns` (wall clock): where it did not say so itself, note it there. */
void output_note_end(const struct output_recording *recording, uint64_t at_ns);

/* The recording of process `pid`: where it executed another program in its place, of the last one.
 * NULL: none. */
const struct output_recording *output_of_process(const struct output_recordings *recordings,
                                                 pid_t pid);

#endif
