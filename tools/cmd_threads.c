/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_open.h"
#include "view_threads.h"

enum { JSON = OPTION_LONG, CSV };

static const struct option_row rows[] = {
    {JSON, "json", NULL, "print JSON"},
    {CSV, "csv", NULL, "print comma-separated values"},
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
    enum emit_format format = EMIT_TEXT;
    struct malloctap_error error;
    struct view_threads view;
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
    int status;
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
