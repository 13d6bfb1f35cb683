/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_open.h"
#include "view_stacks.h"

#include <getopt.h>
#include <string.h>

enum { BY = OPTION_LONG, OP, THREAD, FUNCTION, SINCE, UNTIL, CALLERS, DEPTH, REVERSE };

static const struct option_row rows[] = {
    {BY, "by", "WHAT", "rank by calls (default), bytes, live (bytes), time or wait"},
    {OP, "op", "SIDE", "malloc (default: all that obtain memory), free or all"},
    {THREAD, "thread", "TID", "only calls by this thread"},
    {FUNCTION, "function", "PATTERN", "only paths through a function; * and ? match any text"},
    {SINCE, "since", "TIME", "only calls from this time on, since the start: 1.5s, 200ms, 3m"},
    {UNTIL, "until", "TIME", "only calls up to this time"},
    {CALLERS, "callers", NULL, "rank functions rather than paths, each with all calls under it"},
    {DEPTH, "depth", "N", "look at N frames from the innermost; paths equal so far are one"},
    {'n', "rows", "N", "show the N hottest (default 10; 0: all)"},
    {REVERSE, "reverse", NULL, "hottest last"},
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "stacks",
    "[OPTION...] RECORDING",
    "Call paths into the allocator, hottest first, innermost frame first. Estimates carry one\n"
    "standard error.",
    rows,
    false,
};

static bool parse_by(const char *text, enum ranking_by *ret)
{
    for (enum ranking_by by = 0; by < RANKING_BYS; by++)
        if (!strcmp(text, ranking_by_name(by))) {
            *ret = by;
            return true;
        }
    return false;
}

static bool parse_op(const char *text, struct view_stacks_query *query)
{
    static const struct {
        const char *name;
        uint32_t ops;
    } sides[] = {{"malloc", AGGREGATE_OPS_ALLOC},
                 {"free", AGGREGATE_OPS_FREE},
                 {"all", AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        if (!strcmp(text, sides[i].name)) {
            query->op = sides[i].name;
            query->calls.ops = sides[i].ops;
            return true;
        }
    return false;
}

/* 0, or an exit status after saying what is wrong. */
static int apply(int option, struct view_stacks_query *query, enum emit_format *format)
{
    uint64_t number = 0;
    switch (option) {
    case BY:
        if (parse_by(optarg, &query->ranking.by))
            return 0;
        return bad_input("--by %s: choose calls, bytes, live, time or wait", optarg);
    case OP:
        if (parse_op(optarg, query))
            return 0;
        return bad_input("--op %s: choose malloc, free or all", optarg);
    case THREAD:
        return view_parse_thread(&query->calls.tid);
    case DEPTH:
    case 'n':
        if (!parse_count(optarg, &number))
            return bad_input("%s %s: give a number; 0 means all", option == 'n' ? "-n" : "--depth",
                             optarg);
        *(option == 'n' ? &query->rows_max : &query->ranking.depth) = number;
        return 0;
    case SINCE:
        if (parse_duration_ns(optarg, &query->calls.since_ns))
            return 0;
        return bad_input("--since %s: give a time since the start: 1.5s, 200ms, 3m", optarg);
    case UNTIL:
        if (parse_duration_ns(optarg, &query->calls.until_ns) && query->calls.until_ns)
            return 0;
        return bad_input("--until %s: give a time since the start: 1.5s, 200ms, 3m", optarg);
    case FUNCTION:
        query->ranking.function = optarg;
        return 0;
    case CALLERS:
        query->ranking.callers = true;
        return 0;
    case REVERSE:
        query->reverse = true;
        return 0;
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

static int show(struct malloctap_recording *recording, struct view_stacks_query query,
                enum emit_format format)
{
    struct malloctap_error error;
    struct view_stacks view;
    int status = view_check_thread(recording, query.calls.tid, false);
    if (status)
        return status;
    if (view_stacks_create(recording, query, &view, &error) < 0)
        return bad_input("%s", error.text);
    view_warn_damage(&view.aggregate);
    view_stacks_print(&view, format, stdout);
    view_stacks_destroy(&view);
    view_warn_unread(recording);
    return emit_finish(stdout);
}

int command_stacks(int argc, char **argv)
{
    struct view_stacks_query query = {
        .calls = {.ops = AGGREGATE_OPS_ALLOC}, .op = "malloc", .rows_max = 10};
    enum emit_format format = EMIT_TEXT;
    int option, status;
    while ((option = options_next(&usage, argc, argv)) != OPTIONS_END) {
        if (option == OPTIONS_HELP)
            return EXIT_DONE;
        if ((status = apply(option, &query, &format)))
            return status;
    }
    if (query.calls.until_ns && query.calls.until_ns < query.calls.since_ns)
        return bad_input("--until is before --since: nothing to rank");
    /* Which blocks live costs memory for each: only where it is shown. */
    query.calls.live = format != EMIT_TEXT || query.ranking.by == RANKING_BY_LIVE;
    struct malloctap_recording *recording = view_open(&usage, argc, argv);
    if (!recording)
        return EXIT_BAD_INPUT;
    status = show(recording, query, format);
    malloctap_recording_close(recording);
    return status;
}
