/* SPDX-License-Identifier: MIT */
/*
 * fate.h - what became of the recording of a run.
 *
 * The recording is a file like any other: the program, or somebody else, may delete or rename it
 * while it is written. Then it is not where it is looked for, though the tap did its work. So who
 * starts the run lets the kernel note what happens in the recordings' directory.
 */
#ifndef TOOLS_FATE_H
#define TOOLS_FATE_H

#include <limits.h>

enum fate {
    FATE_UNKNOWN, /* nobody saw it created */
    FATE_GONE,    /* it was there */
    FATE_DELETED,
    FATE_RENAMED, /* and is in the same directory */
    FATE_MOVED,   /* to another */
};

/* Begin to note; before the program starts. Returns a descriptor to be closed, or -1: nothing can
 * be noted, which every fate_find() answers with FATE_UNKNOWN. */
int fate_watch(const char *directory);

/* What became of `name` in that directory. `new_name` is its last name. */
enum fate fate_find(int watch, const char *name, char new_name[NAME_MAX + 1]);

#endif
