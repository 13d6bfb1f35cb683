/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line: option tables, values, complaints.
 *
 * A command declares its options once, as a table; parsing and `--help` both come from it:
 *
 *     static const struct option_row rows[] = {
 *         {'n', "lines", "N", "show N rows (default 10)"},
 *         {OPTION_JSON, "json", NULL, "print JSON"},
 *         {0},
 *     };
 *     static const struct command_usage usage = {"stacks", "[OPTION...] RECORDING", "...", rows};
 *
 *     int option;
 *     while ((option = options_next(&usage, argc, argv)) != OPTIONS_END)
 *         switch (option) {
 *         case 'n': ... optarg ...
 *         case OPTIONS_HELP: return EXIT_DONE;
 *         case OPTIONS_BAD: return EXIT_BAD_INPUT;
 *         }
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "command.h"

#include <stdbool.h>
#include <stdint.h>

struct option_row {
    int key;              /* a letter: the short form too; from OPTION_LONG on: long form only */
    const char *name;     /* long form, without dashes */
    const char *argument; /* its name in the help; NULL: the option takes none */
    const char *help;
};

enum { OPTION_LONG = 256 }; /* first key for options without a letter */

struct command_usage {
    const char *command;
    const char *synopsis;          /* what follows the command's name */
    const char *about;             /* sentences between synopsis and options; may be NULL */
    const struct option_row *rows; /* ends with a row without a name */
    bool program_follows;          /* arguments after the first that is no option are not ours */
};

enum { OPTIONS_END = -1, OPTIONS_HELP = -2, OPTIONS_BAD = -3 };

/* The next option's key, with its argument in `optarg`. OPTIONS_END: `optind` is the first argument
 * that is no option. OPTIONS_HELP: the help was printed. OPTIONS_BAD: what is wrong was said. Every
 * command has `--help` without declaring it. */
int options_next(const struct command_usage *usage, int argc, char **argv);

void usage_print(const struct command_usage *usage);

/* Say one line on stderr, "malloctap: ...", and return EXIT_BAD_INPUT. */
int bad_input(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same without judgement: something the user should know. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Values. False when the text is not entirely such a value or does not fit. */
bool parse_count(const char *text, uint64_t *ret);       /* decimal digits */
bool parse_size(const char *text, uint64_t *ret);        /* bytes; K, M, G, T: powers of 1024 */
bool parse_duration_ns(const char *text, uint64_t *ret); /* 500ms, 1.5s, 2m, 1h; no unit: seconds */

#endif
