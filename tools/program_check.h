/* SPDX-License-Identifier: MIT */
/*
 * program_check.h - can this program be tapped? Asked before anything runs.
 *
 * A program that the tap cannot enter is refused with the reason, rather than run and recorded as
 * one that never allocates.
 */
#ifndef TOOLS_PROGRAM_CHECK_H
#define TOOLS_PROGRAM_CHECK_H

#include "elf_facts.h"

#include <limits.h>
#include <stddef.h>

struct program {
    char path[PATH_MAX];    /* what to execute */
    char binary[PATH_MAX];  /* the ELF file that then runs: the same, or a script's interpreter */
    struct elf_facts facts; /* of the binary */
    const char *warning;    /* what will remain unseen; NULL: nothing known */
};

/* Find `name` as a shell would and look at it. 0, or -1 after filling `message` with a line: what
 * is in the way and how to get around it. */
int program_check(const char *name, struct program *ret, char *message, size_t size);

#endif
