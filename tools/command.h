/* SPDX-License-Identifier: MIT */
/* command.h - the subcommands of malloctap and what they share. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

/* Exit statuses of every command but `run`, which exits as the program did. */
enum { EXIT_DONE = 0, EXIT_THRESHOLD = 1, EXIT_BAD_INPUT = 2 };

/* A command gets its own name as argv[0] and returns the exit status. */
#define COMMAND(name, summary) int command_##name(int argc, char **argv);
#include "commands.def"
#undef COMMAND

#endif
