/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "emit.h"
#include "options.h"
#include "pack.h"

#include <getopt.h>
#include <stdlib.h>

enum { LEVEL = OPTION_LONG };

static const struct option_row rows[] = {
    {'d', "unpack", NULL, "unpack RECORDING again, byte for byte as it was"},
    {'o', "output", "FILE", "write to FILE (default: the recording's name, with .zst or without)"},
    {LEVEL, "level", "N", "from 1, fast, to 19, small (default 3)"},
    {'k', "keep", NULL, "keep what is replaced"},
    {0},
};
static const struct command_usage usage = {
    "pack",
    "[OPTION...] RECORDING",
    "Compress a finished recording. Every view reads the packed one as it is.\n"
    "The recording is replaced, as by gzip and xz, when the packed one was read back and compared.",
    rows,
    false,
};

/* 0, or an exit status after saying what is wrong. */
static int apply(int option, struct pack_options *options, bool *unpack)
{
    uint64_t level;
    switch (option) {
    case 'd':
        *unpack = true;
        return 0;
    case 'o':
        options->out = optarg;
        return 0;
    case 'k':
        options->keep = true;
        return 0;
    case LEVEL:
        if (!parse_count(optarg, &level) || level < 1 || level > PACK_LEVEL_MAX)
            return bad_input("--level %s: give a number from 1 to %d", optarg, PACK_LEVEL_MAX);
        options->level = (int)level;
        return 0;
    default:
        return EXIT_BAD_INPUT;
    }
}

int command_pack(int argc, char **argv)
{
    struct pack_options options = {.level = PACK_LEVEL_DEFAULT};
    struct pack_result result;
    struct malloctap_error error;
    int option, status;
    bool unpack = false;
    while ((option = options_next(&usage, argc, argv)) != OPTIONS_END) {
        if (option == OPTIONS_HELP)
            return EXIT_DONE;
        if ((status = apply(option, &options, &unpack)))
            return status;
    }
    if (argc - optind != 1)
        return bad_input("%s needs one recording (%s); `malloctap %s --help` says more",
                         usage.command, usage.synopsis, usage.command);
    if ((unpack ? unpack_recording : pack_recording)(argv[optind], options, &result, &error) < 0)
        return bad_input("%s", error.text);
    emit_put(stdout, result.path);
    printf(": %s, was %s\n", emit_size((double)result.after).text,
           emit_size((double)result.before).text);
    free(result.path);
    return emit_finish(stdout);
}
