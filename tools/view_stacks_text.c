/* SPDX-License-Identifier: MIT */
/* view_stacks_text.c - the ranking for people. */
#include "view_counters.h"
#include "view_stacks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Below this, one standard error is itself little more than a guess; see docs/SAMPLING.md. */
#define FEW_SAMPLES 10

static struct emit_text figure(double value, enum ranking_by by)
{
    switch (by) {
    case RANKING_BY_BYTES:
    case RANKING_BY_LIVE:
        return emit_size(value);
    case RANKING_BY_TIME:
    case RANKING_BY_WAIT:
        return emit_duration(value);
    default:
        return emit_count(value);
    }
}

/* More digits of an error than two mean nothing. */
static double two_digits(double error)
{
    double unit = pow(10, floor(log10(error)) - 1);
    return unit > 1 ? round(error / unit) * unit : error;
}

static void print_estimate(struct estimate estimate, enum ranking_by by, FILE *out)
{
    static const char *const units[RANKING_BYS] = {" calls", " bytes", " bytes live", " inside",
                                                   " waiting"};
    fputs(figure(estimate.value, by).text, out);
    if (estimate.variance > 0)
        fprintf(out, " ± %s", figure(two_digits(estimate_stderr(estimate)), by).text);
    fputs(units[by], out);
}

/*
 * The name of an instance of a template can take several lines and drown the path. Where it is
 * long, what is between the outermost angle brackets becomes "...": std::map<...>::emplace<...>. Of
 * a name that begins with a bracket, Rust's <T as Trait>::method, those inside of that one.
 */
void view_stacks_print_function(const char *name, FILE *out)
{
    enum { LONG = 80 };
    if (strlen(name) <= LONG) {
        emit_put(out, name);
        return;
    }
    char *printable = emit_printable(name);
    int depth = 0, kept = name[0] == '<';
    for (const char *at = printable; *at; at++) {
        static const char named[] = "operator"; /* whose brackets are no brackets */
        const size_t length = sizeof named - 1;
        if (!strncmp(at, named, length) && strchr("<>-", at[length]) && at[length]) {
            size_t end = length + strspn(at + length, "<>=-");
            if (depth <= kept)
                fprintf(out, "%.*s", (int)end, at);
            at += end - 1;
            continue;
        }
        bool arrow = *at == '>' && at > printable && at[-1] == '-'; /* fn() -> T */
        if (*at == '>' && !arrow && depth > 0)
            depth--;
        if (depth <= kept)
            fputc(*at, out);
        if (*at == '<' && ++depth == kept + 1)
            fputs("...", out);
    }
    free(printable);
}

static void print_place(const struct symbol_frame *frame, struct emit_style style, FILE *out)
{
    char offset[24];
    snprintf(offset, sizeof offset, "%s0x%" PRIx64, frame->module ? "+" : "", frame->offset);
    if (frame->function) {
        view_stacks_print_function(frame->function, out);
        fputs(style.dim, out);
        fputs("  ", out);
        emit_put(out, view_basename(frame->file ? frame->file : frame->module));
        if (frame->file && frame->line)
            fprintf(out, ":%" PRIu32, frame->line);
        fputs(frame->inlined ? " (inlined)" : "", out);
    } else {
        emit_put(out, frame->module ? view_basename(frame->module) : "");
        fputs(offset, out);
        fputs(style.dim, out);
        if (frame->file) {
            fputs("  ", out);
            emit_put(out, view_basename(frame->file));
            fprintf(out, ":%" PRIu32, frame->line);
        }
    }
    fputs(style.plain, out);
}

static void print_frames(const struct ranking_row *row, struct emit_style style, FILE *out)
{
    for (size_t i = 0; i < row->frame_count; i++) {
        fputs("        ", out);
        print_place(row->frames[i], style, out);
        fputc('\n', out);
    }
    if (!row->frame_count)
        fputs("        (no stack was recorded)\n", out);
    else if (row->frames_hidden)
        fprintf(out, "        (%zu more)\n", row->frames_hidden);
    else if (row->truncated)
        fputs("        (cut short here)\n", out);
}

/* With few samples an estimate can exceed the whole of which it is a part. */
static struct emit_text share_text(double share)
{
    if (isnan(share))
        return (struct emit_text){""};
    return share > 1 ? (struct emit_text){"~100 %"} : emit_percent(share);
}

static void print_row(const struct view_stacks *view, size_t rank, const struct ranking_row *row,
                      FILE *out)
{
    struct emit_style style = emit_style(out);
    enum ranking_by by = view->query.ranking.by;
    fprintf(out, "%s%4zu  %7s  ", style.bold, rank, share_text(view_stacks_share(view, row)).text);
    print_estimate(ranking_key(&row->sums, by), by, out);
    fputs(style.plain, out);
    for (enum ranking_by other = RANKING_BY_CALLS; other <= RANKING_BY_BYTES; other++) {
        if (other == by || ranking_key(&row->sums, other).value <= 0)
            continue;
        fputs(",  ", out);
        print_estimate(ranking_key(&row->sums, other), other, out);
    }
    bool few = row->sums.samples < FEW_SAMPLES && ranking_key(&row->sums, by).variance > 0;
    fprintf(out, "%s  (%s sample%s%s)%s\n", style.dim, emit_count((double)row->sums.samples).text,
            row->sums.samples == 1 ? "" : "s", few ? ": a rough guess" : "", style.plain);
    print_frames(row, style, out);
}

void view_stacks_rows_text(const struct view_stacks *view, FILE *out)
{
    size_t shown = view_stacks_shown(view);
    for (size_t i = 0; i < shown; i++)
        print_row(view, view->query.reverse ? shown - i : i + 1, view_stacks_row(view, i), out);
}

void view_stacks_notes_text(const struct view_stacks *view, FILE *out)
{
    const char *const *notes;
    size_t count = symbols_notes(view->symbols, &notes);
    for (size_t i = 0; i < count; i++) {
        fputs("note: ", out);
        emit_put(out, notes[i]);
        fputc('\n', out);
    }
}

/*
 * Estimated and exact totals differ by chance. When they differ by more than four of the standard
 * errors that the exact total leads one to expect, it is not chance: records are missing, and the
 * reader must know what the rest stands for.
 */
static void print_coverage(const struct view_stacks *view, FILE *out)
{
    struct estimate calls = view->aggregate.all.calls;
    double exact = (double)view->exact.calls;
    if (calls.value <= 0 || exact <= 0)
        return;
    double expected_error = sqrt(calls.variance * exact / calls.value);
    if (fabs(calls.value - exact) > 4 * expected_error + 0.5)
        fprintf(out, "The samples at hand stand for %s of these calls.\n",
                emit_percent(calls.value / exact).text);
}

static void print_header(const struct view_stacks *view, FILE *out)
{
    static const char *const ops[][2] = {{"malloc", "malloc, calloc, realloc and aligned"},
                                         {"free", "free"},
                                         {"all", "malloc, calloc, realloc, aligned and free"}};
    enum ranking_by by = view->query.ranking.by;
    const char *of = view->query.op;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        of = strcmp(ops[i][0], of) ? of : ops[i][1];
    bool log = malloctap_recording_header(view->recording)->mode == MALLOCTAP_MODE_LOG;

    fprintf(out, "Calls to %s", of);
    if (view->query.calls.tid)
        fprintf(out, " by thread %" PRIu32, view->query.calls.tid);
    fprintf(out, ": %s", emit_count((double)view->exact.calls).text);
    if (view->query.calls.ops & AGGREGATE_OPS_ALLOC)
        fprintf(out, ", %s bytes requested", emit_size((double)view->exact.bytes).text);
    fprintf(out, " (exact). %s %s.\n", emit_count((double)view->aggregate.all.samples).text,
            log ? "logged" : "sampled");
    fprintf(out, "Call paths ranked by %s%s", ranking_by_name(by),
            log ? "" : "; figures are estimates ± one standard error");
    bool exact;
    double whole = view_stacks_total(view, &exact);
    if (!exact)
        fprintf(out, "; %s in all", figure(whole, by).text);
    fputs(".\nLost: ", out);
    view_lost_text(view->recording, out);
    fputs(".\n", out);
    print_coverage(view, out);
}

/* Why there is no row. */
static const char *nothing_text(const struct view_stacks *view)
{
    if (!view->aggregate.all.samples)
        return "No call was sampled: too few, or too small.\n";
    if (view->query.ranking.function)
        return "No call path goes through such a function.\n";
    return "Nothing of that kind was seen in the samples.\n";
}

void view_stacks_print_text(const struct view_stacks *view, FILE *out)
{
    print_header(view, out);
    fputc('\n', out);
    view_stacks_rows_text(view, out);
    if (!view->ranking.count)
        fputs(nothing_text(view), out);
    if (view_stacks_shown(view) < view->ranking.count)
        fprintf(out, "%s more; -n 0 shows all.\n",
                emit_count((double)(view->ranking.count - view_stacks_shown(view))).text);
    view_stacks_notes_text(view, out);
}
