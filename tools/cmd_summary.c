/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_open.h"
#include "view_summary.h"

enum { JSON = OPTION_LONG, CSV };

static const struct option_row rows[] = {
    {JSON, "json", NULL, "print JSON"},
    {CSV, "csv", NULL, "print comma-separated values: a name and a value a line"},
    {0},
};
static const struct command_usage usage = {
    "summary", "[OPTION...] RECORDING", "What a recording holds, on one screen.", rows, false,
};

int command_summary(int argc, char **argv)
{
    enum emit_format format = EMIT_TEXT;
    struct malloctap_error error;
    for (int option; (option = options_next(&usage, argc, argv)) != OPTIONS_END;) {
        if (option == OPTIONS_HELP)
            return EXIT_DONE;
        if (option == OPTIONS_BAD)
            return EXIT_BAD_INPUT;
        format = option == JSON ? EMIT_JSON : EMIT_CSV;
    }
    struct malloctap_recording *recording = view_open(&usage, argc, argv);
    if (!recording)
        return EXIT_BAD_INPUT;
    int status = view_summary_print(recording, format, stdout, &error) < 0
                     ? bad_input("%s", error.text)
                     : emit_finish(stdout);
    malloctap_recording_close(recording);
    return status;
}
