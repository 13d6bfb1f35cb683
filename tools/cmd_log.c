/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "options.h"
#include "view_log.h"
#include "view_open.h"

#include <getopt.h>
#include <string.h>

enum { SINCE = OPTION_LONG, UNTIL, THREAD, OP, MIN_SIZE, MAX_SIZE, FUNCTION };

static const struct option_row rows[] = {
    {SINCE, "since", "TIME", "only from that time on"},
    {UNTIL, "until", "TIME", "only up to that time"},
    {THREAD, "thread", "THREAD", "only calls by this thread: its number or its name"},
    {OP, "op", "OP,...", "only these: malloc, calloc, realloc, aligned, free"},
    {MIN_SIZE, "min-size", "SIZE", "only requests of so many bytes or more; no frees then"},
    {MAX_SIZE, "max-size", "SIZE", "only requests of so many bytes or less; no frees then"},
    {FUNCTION, "function", "PATTERN", "only paths through a function; * and ? match any text"},
    {'S', "stacks", NULL, "the call path of each"},
    {'n', "rows", "N", "the first N (default: all)"},
    VIEW_FORMAT_ROWS,
    {0},
};
static const struct command_usage usage = {
    "log",
    "[OPTION...] RECORDING",
    "Every record in order of time: each call of a log (run -m log), or each sample. A realloc is two\n"
    "lines: realloc-free, when the old block ends, and realloc, when the new one is there. TIME\n"
    "counts from the start of the recording: 1.5s, 200ms, 3m. With --json an object a line.",
    rows,
    false,
};

/* "malloc,free" -> bits. */
static bool parse_ops(const char *text, uint32_t *ret)
{
    static const char *const names[MALLOCTAP_OPS] = {
#define X(NAME, name) [MALLOCTAP_OP_##NAME] = #name,
        MALLOCTAP_ALLOC_OPS(X)
#undef X
            [MALLOCTAP_OP_FREE] = "free",
    };
    *ret = 0;
    for (;; text++) {
        size_t length = strcspn(text, ","), op = 0;
        while (op < MALLOCTAP_OPS &&
               (strlen(names[op]) != length || strncmp(names[op], text, length) != 0))
            op++;
        if (op == MALLOCTAP_OPS)
            return false;
        *ret |= 1u << op;
        text += length;
        if (*text == '\0')
            return true;
    }
}

static int time_option(const char *name, uint64_t *ret)
{
    if (parse_duration_ns(optarg, ret))
        return 0;
    return bad_input("--%s %s: give a time since the start: 1.5s, 200ms, 3m", name, optarg);
}

static int size_option(const char *name, uint64_t *ret)
{
    if (parse_size(optarg, ret))
        return 0;
    return bad_input("--%s %s: give a size: 4096, 64K, 1.5M", name, optarg);
}

/* 0, or an exit status after saying what is wrong. */
static int apply(int option, struct view_log_query *query, enum emit_format *format)
{
    switch (option) {
    case SINCE:
        return time_option("since", &query->since_ns);
    case UNTIL:
        return time_option("until", &query->until_ns);
    case THREAD:
        query->thread = optarg;
        return 0;
    case OP:
        if (parse_ops(optarg, &query->ops))
            return 0;
        return bad_input("--op %s: choose from malloc, calloc, realloc, aligned, free", optarg);
    case MIN_SIZE:
        return size_option("min-size", &query->min_size);
    case MAX_SIZE:
        return size_option("max-size", &query->max_size);
    case FUNCTION:
        query->function = optarg;
        return 0;
    case 'S':
        query->stacks = true;
        return 0;
    case 'n':
        if (parse_count(optarg, &query->rows_max))
            return 0;
        return bad_input("-n %s: give a number; 0 means all", optarg);
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

int command_log(int argc, char **argv)
{
    struct view_log_query query = {
        .until_ns = UINT64_MAX, .ops = UINT32_MAX, .max_size = UINT64_MAX};
    enum emit_format format = EMIT_TEXT;
    struct malloctap_error error;
    int option, status;
    while ((option = options_next(&usage, argc, argv)) != OPTIONS_END) {
        if (option == OPTIONS_HELP)
            return EXIT_DONE;
        if ((status = apply(option, &query, &format)))
            return status;
    }
    struct malloctap_recording *recording = view_open(&usage, argc, argv);
    if (!recording)
        return EXIT_BAD_INPUT;
    if (view_log_print(recording, &query, format, stdout, &error) < 0) {
        status = bad_input("%s", error.text);
    } else {
        view_warn_unread(recording);
        status = emit_finish(stdout);
    }
    malloctap_recording_close(recording);
    return status;
}
