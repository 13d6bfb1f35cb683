/* SPDX-License-Identifier: MIT */
/* main.c - from `malloctap COMMAND ...` to the command. */
#include "command.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND(name, summary) {#name, summary, command_##name},
#include "commands.def"
#undef COMMAND
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *command_find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int command_unknown(const char *name)
{
    return bad_input("unknown command '%s'; 'malloctap --help' lists them", name);
}

static void overview_print(FILE *to)
{
    fprintf(to,
            "Usage: malloctap COMMAND [OPTION...] [ARGUMENT...]\n"
            "\n"
            "Show who calls malloc in a program, what it costs, and what another allocator would\n"
            "buy. Needs no privilege and no change to the program.\n"
            "\n"
            "Commands:\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n"
                "'malloctap COMMAND --help' or 'malloctap help COMMAND' tells more of one.\n"
                "To begin: malloctap run -- PROGRAM [ARG...]\n");
}

static int help(int argc, char **argv)
{
    if (argc < 1) {
        overview_print(stdout);
        return EXIT_DONE;
    }
    const struct command *command = command_find(argv[0]);
    if (!command)
        return command_unknown(argv[0]);
    char option[] = "--help";
    char *help_argv[] = {argv[0], option, NULL};
    return command->run(2, help_argv);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        overview_print(stderr);
        return EXIT_BAD_INPUT;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help(argc - 2, argv + 2);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("malloctap %s\n", MALLOCTAP_VERSION_TEXT);
        return EXIT_DONE;
    }
    if (word[0] == '-')
        return bad_input(
            "unknown option %s; a command comes first, as in 'malloctap run -- PROGRAM'", word);
    const struct command *command = command_find(word);
    return command ? command->run(argc - 1, argv + 1) : command_unknown(word);
}
