/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_diff.h"
#include "view_open.h"

#include <getopt.h>
#include <string.h>

enum { BY = OPTION_LONG, DEPTH, REVERSE, PER_SECOND };

static const struct option_row rows[] = {
    {BY, "by", "WHAT", "compare calls (default), bytes, live (bytes), time or wait"},
    {DEPTH, "merge-depth", "N", "look at N frames from the innermost; paths equal so far are one"},
    {PER_SECOND, "per-second", NULL, "divide by how long each recording lasted"},
    {'n', "rows", "N", "show the N largest changes (default 10, in JSON and CSV all; 0: all)"},
    {REVERSE, "reverse", NULL, "largest change last"},
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "diff",
    "[OPTION...] OLD NEW",
    "Two recordings compared by call path: what grew, what shrank. Paths are matched by functions\n"
    "and modules, so that the two may be of different builds.",
    rows,
    false,
};

struct request {
    struct view_diff_query query;
    bool has_rows;
    enum emit_format format;
};

static int by_option(enum ranking_by *ret)
{
    for (enum ranking_by by = 0; by < RANKING_BYS; by++)
        if (!strcmp(optarg, ranking_by_name(by))) {
            *ret = by;
            return 0;
        }
    return bad_input("--by %s: choose calls, bytes, live, time or wait", optarg);
}

static int count_option(const char *name, size_t *ret)
{
    uint64_t number;
    if (!parse_count(optarg, &number))
        return bad_input("%s %s: give a number; 0 means all", name, optarg);
    *ret = number;
    return 0;
}

/* 0, or an exit status after saying what is wrong. */
static int apply(int option, struct request *request)
{
    switch (option) {
    case BY:
        return by_option(&request->query.by);
    case DEPTH:
        return count_option("--merge-depth", &request->query.depth);
    case 'n':
        request->has_rows = true;
        return count_option("-n", &request->query.rows_max);
    case REVERSE:
        request->query.reverse = true;
        return 0;
    case PER_SECOND:
        request->query.per_second = true;
        return 0;
    case VIEW_JSON:
    case VIEW_CSV:
        request->format = option == VIEW_JSON ? EMIT_JSON : EMIT_CSV;
        return 0;
    default:
        return EXIT_BAD_INPUT;
    }
}

static int show(struct malloctap_recording *const recordings[DIFF_SIDES],
                const struct request *request)
{
    struct malloctap_error error;
    struct view_diff view;
    if (view_diff_create(recordings, request->query, &view, &error) < 0)
        return bad_input("%s", error.text);
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        view_warn_damage(&view.sides[side].aggregate);
    view_diff_print(&view, request->format, stdout);
    view_diff_destroy(&view);
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        view_warn_unread(recordings[side]);
    return emit_finish(stdout);
}

static int open_and_show(char **paths, const struct request *request)
{
    struct malloctap_recording *recordings[DIFF_SIDES];
    struct malloctap_error error;
    if (malloctap_recording_open(paths[DIFF_OLD], &recordings[DIFF_OLD], &error) < 0)
        return bad_input("%s", error.text);
    int status = EXIT_BAD_INPUT;
    if (malloctap_recording_open(paths[DIFF_NEW], &recordings[DIFF_NEW], &error) < 0) {
        bad_input("%s", error.text);
    } else {
        status = show(recordings, request);
        malloctap_recording_close(recordings[DIFF_NEW]);
    }
    malloctap_recording_close(recordings[DIFF_OLD]);
    return status;
}

int command_diff(int argc, char **argv)
{
    struct request request = {0};
    int option, status;
    while ((option = options_next(&usage, argc, argv)) != OPTIONS_END) {
        if (option == OPTIONS_HELP)
            return EXIT_DONE;
        if ((status = apply(option, &request)))
            return status;
    }
    if (argc - optind != DIFF_SIDES)
        return bad_input("diff needs two recordings, the old and the new; `malloctap diff --help` "
                         "says more");
    if (!request.has_rows && request.format == EMIT_TEXT)
        request.query.rows_max = 10;
    return open_and_show(argv + optind, &request);
}
