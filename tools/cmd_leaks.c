/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_leaks.h"
#include "view_open.h"

#include <getopt.h>

enum {
    AT = OPTION_LONG,
    SINCE,
    BEFORE,
    GROWTH,
    THREAD,
    DEPTH,
    MIN_BYTES,
    SUPPRESS,
    FAIL_OVER,
    ALL
};

static const struct option_row rows[] = {
    {AT, "at", "TIME", "what is live at that time instead of at the end"},
    {SINCE, "since", "TIME", "only blocks allocated from then on"},
    {BEFORE, "before", "TIME", "only blocks allocated until then"},
    {GROWTH, "growth", "TIME", "what is live now (or at --at) minus what was live then"},
    {THREAD, "thread", "TID", "only blocks that this thread allocated"},
    {DEPTH, "merge-depth", "N", "look at N frames from the innermost; paths equal so far are one"},
    {MIN_BYTES, "min-bytes", "SIZE", "leave out paths with less"},
    {'n', "rows", "N", "show the N largest (default 10, in JSON and CSV all; 0: all)"},
    {SUPPRESS, "suppress", "FILE",
     "leave out what it names, in LeakSanitizer's format; may be "
     "given again"},
    {ALL, "all", NULL, "also what libc and libstdc++ keep until the end by design"},
    {FAIL_OVER, "fail-over", "SIZE", "exit 1 when more than that is live"},
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "leaks",
    "[OPTION...] RECORDING",
    "What is live, by the call path that allocated it: exact from a log (run -m log), estimated\n"
    "from samples. TIME counts from the start of the recording: 1.5s, 200ms, 3m.",
    rows,
    false,
};

struct request {
    struct view_leaks_query query;
    struct suppressions hidden;
    bool has_limit;
    uint64_t limit; /* bytes */
    bool has_rows;
    enum emit_format format;
};

static int time_option(const char *name, uint64_t *ret)
{
    if (parse_duration_ns(optarg, ret))
        return 0;
    return bad_input("--%s %s: give a time since the start: 1.5s, 200ms, 3m", name, optarg);
}

static int count_option(const char *name, size_t *ret)
{
    uint64_t number;
    if (!parse_count(optarg, &number))
        return bad_input("%s %s: give a number; 0 means all", name, optarg);
    *ret = number;
    return 0;
}

static int size_option(const char *name, uint64_t *ret)
{
    if (parse_size(optarg, ret))
        return 0;
    return bad_input("--%s %s: give a size: 4096, 64K, 1.5M", name, optarg);
}

static int suppress_option(struct suppressions *hidden)
{
    struct malloctap_error error;
    return suppressions_read(hidden, optarg, &error) < 0 ? bad_input("%s", error.text) : 0;
}

/* 0, or an exit status after saying what is wrong. */
static int apply(int option, struct request *request)
{
    struct view_leaks_query *query = &request->query;
    switch (option) {
    case AT:
        return time_option("at", &query->at_ns);
    case SINCE:
        return time_option("since", &query->since_ns);
    case BEFORE:
        return time_option("before", &query->before_ns);
    case GROWTH:
        query->growth = true;
        return time_option("growth", &query->from_ns);
    case THREAD:
        return view_parse_thread(&query->tid);
    case DEPTH:
        return count_option("--merge-depth", &query->depth);
    case MIN_BYTES:
        return size_option("min-bytes", &query->min_bytes);
    case 'n':
        request->has_rows = true;
        return count_option("-n", &query->rows_max);
    case SUPPRESS:
        return suppress_option(&request->hidden);
    case ALL:
        query->runtime = true;
        return 0;
    case FAIL_OVER:
        request->has_limit = true;
        return size_option("fail-over", &request->limit);
    case VIEW_JSON:
    case VIEW_CSV:
        request->format = option == VIEW_JSON ? EMIT_JSON : EMIT_CSV;
        return 0;
    default:
        return EXIT_BAD_INPUT;
    }
}

static int check(const struct view_leaks_query *query)
{
    if (query->growth && (query->since_ns || query->before_ns != UINT64_MAX))
        return bad_input("--growth shows what came and went; leave --since and --before out");
    if (query->since_ns > query->before_ns)
        return bad_input("--before is before --since: no block is of both");
    return 0;
}

static int show(struct malloctap_recording *recording, const struct request *request)
{
    struct malloctap_error error;
    struct view_leaks view;
    int status = view_check_thread(recording, request->query.tid, false);
    if (status)
        return status;
    if (view_leaks_create(recording, request->query, &request->hidden, &view, &error) < 0)
        return bad_input("%s", error.text);
    if (view.leaks.damaged)
        say("%s", view.leaks.first_damage.text);
    view_leaks_print(&view, request->format, stdout);
    bool over = request->has_limit && view.groups.all.bytes.value > (double)request->limit;
    view_leaks_destroy(&view);
    view_warn_unread(recording);
    status = emit_finish(stdout);
    return status ? status : over ? EXIT_THRESHOLD : EXIT_DONE;
}

int command_leaks(int argc, char **argv)
{
    struct request request = {.query = {.at_ns = UINT64_MAX, .before_ns = UINT64_MAX}};
    int status = 0;
    for (int option; !status && (option = options_next(&usage, argc, argv)) != OPTIONS_END;) {
        if (option == OPTIONS_HELP) {
            suppressions_deinit(&request.hidden);
            return EXIT_DONE;
        }
        status = apply(option, &request);
    }
    if (!status)
        status = check(&request.query);
    if (!request.has_rows && request.format == EMIT_TEXT)
        request.query.rows_max = 10;
    struct malloctap_recording *recording = status ? NULL : view_open(&usage, argc, argv);
    if (recording) {
        status = show(recording, &request);
        malloctap_recording_close(recording);
    } else {
        status = EXIT_BAD_INPUT;
    }
    suppressions_deinit(&request.hidden);
    return status;
}
