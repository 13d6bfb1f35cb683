/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_open.h"
#include "view_summary.h"

static const struct option_row rows[] = {
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "summary", "[OPTION...] RECORDING", "What a recording holds, on one screen.", rows, false,
};

int command_summary(int argc, char **argv)
{
    enum emit_format format;
    struct malloctap_error error;
    int status;
    if (view_parse_format(&usage, argc, argv, &format, &status) < 0)
        return status;
    struct malloctap_recording *recording = view_open(&usage, argc, argv);
    if (!recording)
        return EXIT_BAD_INPUT;
    if (view_summary_print(recording, format, stdout, &error) < 0)
        say("%s", error.text);
    status = emit_finish(stdout);
    malloctap_recording_close(recording);
    return status;
}
