/* SPDX-License-Identifier: MIT */
#include "view_summary.h"

#include "program_name.h"
#include "view_counters.h"
#include "view_frames.h"
#include "view_summary_facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- heading --------------------------------------------------------------------------------- */

/* With the file behind it, where that has another name. */
static void print_name(const struct malloctap_header *header, struct emit_style style, FILE *out)
{
    struct program_name name = program_name(header);
    fputs(style.bold, out);
    emit_put(out, name.text);
    fprintf(out, "%s (", style.plain);
    if (strcmp(name.text, path_basename(header->executable))) {
        emit_put(out, header->executable);
        fputs(", ", out);
    }
    fprintf(out, "pid %" PRIu32 ")", header->pid);
}

static void print_program(const struct summary *summary, struct emit_style style, FILE *out)
{
    const struct malloctap_header *header = summary->header;
    print_name(header, style, out);
    fputs(" under ", out);
    emit_put(out, header->backend[0] ? header->backend : "an unknown backend");
    if (header->backend_object[0] && strcmp(header->backend_object, header->backend)) {
        fputs(": ", out);
        emit_put(out, header->backend_object);
    }
    fprintf(out, ", mode %s\n  ", view_mode_name(header->mode));
    emit_put(out, header->command_line);
    fputs("\n\n", out);
}

/* Killed, and nobody noted when: what is known is what was recorded last. */
static bool end_is_unknown(const struct summary *summary)
{
    return malloctap_recording_orphaned(summary->recording) && summary->header->end_ticks == 0;
}

static const char *state_text(const struct malloctap_recording *recording)
{
    const char *state = view_state_name(recording);
    if (!strcmp(state, "running"))
        return "; still running";
    return strcmp(state, "killed") ? ""
                                   : "; the process ended without saying so (killed, or _exit)";
}

static void print_calls(const struct summary *summary, FILE *out)
{
    const struct malloctap_counters *counters = &summary->threads.totals;
    fprintf(out, "  calls        %s", emit_count((double)view_calls(counters)).text);
    if (!isnan(summary->calls_per_second))
        fprintf(out, " (%s%s a second)", end_is_unknown(summary) ? "at most " : "",
                emit_count(summary->calls_per_second).text);
    const char *separator = ": ";
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++) {
        uint64_t calls = malloctap_counters_calls(counters, op);
        if (!calls)
            continue;
        fprintf(out, "%s%s %s", separator, view_op_name(op), emit_count((double)calls).text);
        separator = ", ";
    }
    if (view_failed(counters))
        fprintf(out, "; %s failed", emit_count((double)view_failed(counters)).text);
    fputc('\n', out);
}

static void print_figures(const struct summary *summary, FILE *out)
{
    const struct malloctap_header *header = summary->header;
    size_t alive = 0;
    for (size_t i = 0; i < summary->threads.count; i++)
        alive += summary->threads.rows[i].slot.state == MALLOCTAP_THREAD_LIVE;
    size_t threads = summary->threads.count + summary->threads.exited;

    fprintf(out, "  duration     %s%s%s\n", end_is_unknown(summary) ? "at least " : "",
            emit_duration((double)summary->duration_ns).text, state_text(summary->recording));
    print_calls(summary, out);
    fprintf(out, "  requested    %s bytes",
            emit_size((double)view_bytes(&summary->threads.totals)).text);
    if (header->peak_rss_bytes)
        fprintf(out, "; peak memory of the process %s",
                emit_size((double)header->peak_rss_bytes).text);
    fprintf(out, "\n  threads      %s, %s at the end\n", emit_count((double)threads).text,
            emit_count((double)alive).text);
    summary_print_cost(summary, out);
    summary_print_memory(summary, out);
    fputs("  lost         ", out);
    view_lost_text(summary->recording, out);
    fputc('\n', out);
    if (summary->hottest.aggregate.damaged) {
        fprintf(out, "  damaged      %" PRIu64 " left out: ", summary->hottest.aggregate.damaged);
        emit_put(out, summary->hottest.aggregate.first_damage.text);
        fputc('\n', out);
    }
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Bands of whole size classes: the first class and the label of each. */
static const struct {
    int first;
    const char *label;
} bands[] = {
    {0, "below 16"},   {5, "16 to 63"},    {7, "64 to 255"},  {9, "256 to 1K"},  {11, "1K to 4K"},
    {13, "4K to 16K"}, {15, "16K to 64K"}, {17, "64K to 1M"}, {21, "1M and up"},
};
enum { BANDS = sizeof bands / sizeof *bands, BAR_WIDTH = 40 };

static void print_sizes(const struct summary *summary, FILE *out)
{
    double calls[BANDS] = {0}, all = 0;
    for (int band = 0; band < BANDS; band++) {
        int end = band + 1 < BANDS ? bands[band + 1].first : MALLOCTAP_SIZE_CLASSES;
        for (int class = bands[band].first; class < end; class ++)
            for (int op = 0; op < MALLOCTAP_OPS_ALLOC; op++)
                calls[band] += (double)summary->threads.totals.calls[op][class];
        all += calls[band];
    }
    if (all == 0)
        return;
    fputs("\nSizes requested:\n", out);
    for (int band = 0; band < BANDS; band++) {
        int length = (int)lround(BAR_WIDTH * calls[band] / all);
        if (!calls[band])
            continue;
        fprintf(out, "  %-10s  %7s  ", bands[band].label, emit_percent(calls[band] / all).text);
        for (int i = 0; i < length; i++)
            fputc('#', out);
        fputc('\n', out);
    }
}

/* ---- hottest paths and what next ------------------------------------------------------------- */

static void print_hottest(const struct summary *summary, FILE *out)
{
    fputc('\n', out);
    if (!summary->has_hottest) {
        emit_put(out, summary->no_hottest.text);
        fputc('\n', out);
        return;
    }
    const struct view_stacks *hottest = &summary->hottest;
    if (!hottest->ranking.count) {
        fputs(view_unrecorded(summary->recording, UINT64_MAX)
                  ? "No sample is here: those that were taken found no space.\n"
                  : "No call was sampled: too few, or too small.\n",
              out);
        return;
    }
    if (hottest->aggregate.partial)
        fprintf(out,
                "Hottest call paths from %s on (the ring overwrote what was before), of %s calls "
                "that obtain memory:\n",
                emit_duration((double)hottest->aggregate.since_ns).text,
                emit_count(hottest->aggregate.all.calls.value).text);
    else
        fprintf(out, "Hottest call paths, of %s calls that obtain memory:\n",
                emit_count((double)hottest->exact.calls).text);
    if (!view_stacks_exact(hottest))
        view_switched_text(summary->recording, false, out);
    view_stacks_rows_text(hottest, out);
    view_notes_text(hottest->symbols, out);
}

/* A path as a shell needs it: in quotes unless it is plain. */
static void print_quoted(const char *path, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_./+-,:@%=";
    bool quote = !*path || path[strspn(path, plain)];
    char *printable = emit_printable(path);
    fputs(quote ? "'" : "", out);
    for (const char *at = printable; *at; at++)
        if (*at == '\'')
            fputs("'\\''", out);
        else
            fputc(*at, out);
    fputs(quote ? "'" : "", out);
    free(printable);
}

/* Is the command line whole, and free of what a terminal or a shell would take for something else?
 */
static bool can_be_typed(const struct malloctap_header *header)
{
    const char *text = header->command_line;
    char *printable = emit_printable(text);
    bool same = *text && !strcmp(printable, text);
    free(printable);
    return same && strlen(text) + 1 < sizeof header->command_line;
}

/* Questions that this recording can answer, the most telling ones first. */
static void print_next(const struct summary *summary, FILE *out)
{
    bool logged = summary->has_hottest && view_stacks_logged(&summary->hottest);
    const struct {
        const char *command;
        bool useful;
    } next[] = {
        {"stacks", summary->has_hottest},
        {"stacks --by bytes", summary->has_hottest},
        {"stacks --by time --op all", summary->threads.total_cost.samples},
        {"stacks --by wait --op all", !isnan(summary->waited_ns.low)},
        {"leaks", logged},
        {"log", logged},
        {"threads", true},
    };
    const char *path = malloctap_recording_path(summary->recording);
    fputs("\nRecording: ", out);
    emit_put(out, path);
    fputs("\nNext:\n", out);
    for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
        if (!next[i].useful)
            continue;
        fprintf(out, "  malloctap %s ", next[i].command);
        print_quoted(path, out);
        fputc('\n', out);
    }
    fprintf(out, "  malloctap compare -- %s\n",
            can_be_typed(summary->header) ? summary->header->command_line : "PROGRAM [ARG...]");
}

static void print_text(const struct summary *summary, FILE *out)
{
    print_program(summary, emit_style(out), out);
    print_figures(summary, out);
    print_sizes(summary, out);
    view_locks_print_kinds(&summary->locks, out);
    view_locks_print_memory(&summary->locks, out);
    print_hottest(summary, out);
    print_next(summary, out);
}

int view_summary_print(struct malloctap_recording *recording, enum emit_format format, FILE *out,
                       struct malloctap_error *error)
{
    struct summary summary;
    summary_create(recording, &summary);
    switch (format) {
    case EMIT_TEXT:
        print_text(&summary, out);
        break;
    case EMIT_JSON:
        summary_print_json(&summary, out);
        break;
    case EMIT_CSV:
        summary_print_csv(&summary, out);
        break;
    }
    summary_destroy(&summary);
    return malloctap_recording_check(recording, error);
}

int view_summary(struct malloctap_recording *recording, FILE *out, struct malloctap_error *error)
{
    return view_summary_print(recording, EMIT_TEXT, out, error);
}
