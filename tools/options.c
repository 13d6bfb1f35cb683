/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 62, KEY_HELP = 'h' };

static void complain(const char *format, va_list arguments)
{
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    /* One write: lines of a program that shares the terminal do not get into ours. */
    fprintf(stderr, "malloctap: %s\n", line);
}

int bad_input(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return EXIT_BAD_INPUT;
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

/* ---- options -------------------------------------------------------------------------------- */

/* What getopt_long() wants, made from the table. */
struct getopt_tables {
    char letters[2 * ROWS_MAX + 6];
    struct option longs[ROWS_MAX + 2];
};

static void getopt_tables_init(struct getopt_tables *ret, const struct command_usage *usage)
{
    char *letter = ret->letters;
    struct option *next = ret->longs;
    if (usage->program_follows)
        *letter++ = '+';
    *letter++ = ':'; /* tell a missing argument from an unknown option */
    *letter++ = KEY_HELP;
    *next++ = (struct option){"help", no_argument, NULL, KEY_HELP};
    for (const struct option_row *row = usage->rows; row->name; row++) {
        if (next == ret->longs + ROWS_MAX + 1)
            abort();
        int has = row->argument ? required_argument : no_argument;
        *next++ = (struct option){row->name, has, NULL, row->key};
        if (row->key < OPTION_LONG) {
            *letter++ = (char)row->key;
            if (row->argument)
                *letter++ = ':';
        }
    }
    *letter = '\0';
    *next = (struct option){0};
}

static const struct option_row *row_find(const struct command_usage *usage, int key)
{
    for (const struct option_row *row = usage->rows; row->name; row++)
        if (row->key == key)
            return row;
    return NULL;
}

/* The long option as the user typed it; getopt_long() has moved optind past it. */
static int typed_length(char **argv)
{
    return (int)strcspn(argv[optind - 1], "=");
}

static void option_unknown(const struct command_usage *usage, char **argv)
{
    const char *typed = argv[optind - 1];
    if (row_find(usage, optopt) || optopt == KEY_HELP) /* known, so it is the value that is wrong */
        bad_input("%s: option %.*s takes no value", usage->command, typed_length(argv), typed);
    else if (optopt)
        bad_input("%s: unknown option -%c; 'malloctap %s --help' lists them", usage->command,
                  optopt, usage->command);
    else
        bad_input("%s: unknown option %.*s; 'malloctap %s --help' lists them", usage->command,
                  typed_length(argv), typed, usage->command);
}

int options_next(const struct command_usage *usage, int argc, char **argv)
{
    struct getopt_tables tables;
    getopt_tables_init(&tables, usage);
    opterr = 0;
    int key = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
    switch (key) {
    case -1:
        return OPTIONS_END;
    case KEY_HELP:
        usage_print(usage);
        return OPTIONS_HELP;
    case ':':
        /* Its value is what is missing, so the option is the last word. */
        bad_input("%s: option %s needs a value; see 'malloctap %s --help'", usage->command,
                  argv[argc - 1], usage->command);
        return OPTIONS_BAD;
    case '?':
        option_unknown(usage, argv);
        return OPTIONS_BAD;
    default:
        return key;
    }
}

void usage_print(const struct command_usage *usage)
{
    enum { COLUMN = 26 };
    printf("Usage: malloctap %s %s\n", usage->command, usage->synopsis);
    if (usage->about)
        printf("\n%s\n", usage->about);
    printf("\nOptions:\n");
    for (const struct option_row *row = usage->rows; row->name; row++) {
        char left[64];
        int width = row->key < OPTION_LONG ? snprintf(left, sizeof left, "-%c, ", row->key)
                                           : snprintf(left, sizeof left, "    ");
        width += snprintf(left + width, sizeof left - (size_t)width, "--%s%s%s", row->name,
                          row->argument ? " " : "", row->argument ? row->argument : "");
        if (width > COLUMN)
            printf("  %s\n  %*s  %s\n", left, COLUMN, "", row->help);
        else
            printf("  %-*s  %s\n", COLUMN, left, row->help);
    }
    printf("  %-*s  %s\n", COLUMN, "-h, --help", "print this");
}

/* ---- values --------------------------------------------------------------------------------- */

bool parse_count(const char *text, uint64_t *ret)
{
    if (!isdigit((unsigned char)*text))
        return false; /* strtoull() would take a sign or spaces */
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end)
        return false;
    *ret = value;
    return true;
}

/* A number that may have a fraction; *end is what follows it. No sign, exponent, hexadecimal. */
static bool parse_number(const char *text, double *ret, const char **end)
{
    size_t digits = strspn(text, "0123456789."), points = 0;
    for (size_t i = 0; i < digits; i++)
        points += text[i] == '.';
    if (!isdigit((unsigned char)*text) || points > 1 || digits > 30)
        return false;
    char number[32];
    snprintf(number, sizeof number, "%.*s", (int)digits, text);
    *ret = strtod(number, NULL);
    *end = text + digits;
    return true;
}

bool parse_size(const char *text, uint64_t *ret)
{
    static const char units[] = "KMGT";
    if (parse_count(text, ret))
        return true; /* exact also beyond the precision of a double */
    double value;
    const char *rest;
    if (!parse_number(text, &value, &rest))
        return false;
    const char *unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : NULL;
    if (unit) {
        value = ldexp(value, 10 * (int)(unit - units + 1));
        rest++;
        if (*rest == 'i')
            rest++;
    }
    if (*rest == 'B')
        rest++;
    if (*rest || value >= ldexp(1, 63))
        return false;
    *ret = (uint64_t)value;
    return true;
}

bool parse_duration_ns(const char *text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9},   {"s", 1e9},    {"ms", 1e6},  {"us", 1e3},
                 {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};
    double value;
    const char *rest;
    if (!parse_number(text, &value, &rest))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(rest, units[i].unit) == 0) {
            value *= units[i].ns;
            if (value >= ldexp(1, 62))
                return false;
            *ret = (uint64_t)(value + 0.5); /* "0.001000001s" is just below a whole one */
            return true;
        }
    return false;
}
