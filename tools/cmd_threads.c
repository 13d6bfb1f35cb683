/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_open.h"
#include "view_threads.h"

static const struct option_row rows[] = {
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "threads",
    "[OPTION...] RECORDING",
    "A row per thread: its calls by operation, failures and bytes. Counters are exact.",
    rows,
    false,
};

int command_threads(int argc, char **argv)
{
    enum emit_format format;
    struct malloctap_error error;
    struct view_threads view;
    int status;
    if (view_parse_format(&usage, argc, argv, &format, &status) < 0)
        return status;
    struct malloctap_recording *recording = view_open(&usage, argc, argv);
    if (!recording)
        return EXIT_BAD_INPUT;
    if (view_threads_create(recording, &view, &error) < 0) {
        status = bad_input("%s", error.text);
    } else {
        view_warn_damage(&view.aggregate);
        view_threads_print(&view, format, stdout);
        view_threads_destroy(&view);
        status = emit_finish(stdout);
    }
    malloctap_recording_close(recording);
    return status;
}
