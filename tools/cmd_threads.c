/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_open.h"
#include "view_threads.h"

enum { THREAD = OPTION_LONG };

static const struct option_row rows[] = {
    {THREAD, "thread", "TID", "how long calls took in this thread (default: in all)"},
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "threads",
    "[OPTION...] RECORDING",
    "A row per thread: its calls by operation, failures and bytes, which are exact; its time inside\n"
    "the allocator and waiting there, and how long calls took, which are estimated.",
    rows,
    false,
};

static int show(struct malloctap_recording *recording, uint32_t tid, enum emit_format format)
{
    struct view_threads view;
    int status = view_check_thread(recording, tid, true);
    if (status)
        return status;
    view_threads_create(recording, &view);
    view.only = view_threads_find(&view, tid);
    view_threads_print(&view, format, stdout);
    view_threads_destroy(&view);
    view_warn_unread(recording);
    return emit_finish(stdout);
}

/* 0, or an exit status after saying what is wrong. */
static int apply(int option, uint32_t *tid, enum emit_format *format)
{
    switch (option) {
    case THREAD:
        return view_parse_thread(tid);
    case VIEW_JSON:
        *format = EMIT_JSON;
        return 0;
    case VIEW_CSV:
        *format = EMIT_CSV;
        return 0;
    default:
        return EXIT_BAD_INPUT;
    }
}

int command_threads(int argc, char **argv)
{
    enum emit_format format = EMIT_TEXT;
    uint32_t tid = 0;
    int status;
    for (int option; (option = options_next(&usage, argc, argv)) != OPTIONS_END;) {
        if (option == OPTIONS_HELP)
            return EXIT_DONE;
        if ((status = apply(option, &tid, &format)))
            return status;
    }
    struct malloctap_recording *recording = view_open(&usage, argc, argv);
    if (!recording)
        return EXIT_BAD_INPUT;
    status = show(recording, tid, format);
    malloctap_recording_close(recording);
    return status;
}
