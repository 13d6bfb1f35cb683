/* SPDX-License-Identifier: MIT */
/* view_stacks_text.c - the ranking for people. */
#include "view_counters.h"
#include "view_frames.h"
#include "view_stacks.h"

#include <inttypes.h>
#include <string.h>

/* A figure that rests on as much as fewer samples than these is little more than a guess, and so is
 * its error; see docs/SAMPLING.md. */
#define FEW_SAMPLES 10

/* A figure of what is ranked by, with its error. */
static struct view_estimate figure(struct estimate estimate, enum ranking_by by)
{
    switch (by) {
    case RANKING_BY_BYTES:
    case RANKING_BY_LIVE:
        return view_estimate(estimate, emit_size);
    case RANKING_BY_TIME:
    case RANKING_BY_WAIT:
        return view_estimate(estimate, emit_duration);
    default:
        return view_estimate(estimate, emit_count);
    }
}

static void print_estimate(struct estimate estimate, enum ranking_by by, FILE *out)
{
    static const char *const units[RANKING_BYS] = {" calls", " bytes", " bytes live", " inside",
                                                   " waiting"};
    bool one_call = by == RANKING_BY_CALLS && estimate.value == 1 && estimate.variance == 0;
    fputs(figure(estimate, by).text, out);
    fputs(one_call ? " call" : units[by], out);
}

/* With few samples an estimate can exceed the whole of which it is a part. */
static struct emit_text share_text(double share)
{
    if (isnan(share))
        return (struct emit_text){""};
    return share > 1 ? (struct emit_text){"~100 %"} : emit_percent(share);
}

/*
 * Small calls stand for many each, so that all of a path's may have gone unseen: then its large
 * ones alone make up the figure and its error. Not where its samples tell that its calls are alike,
 * nor where there are not so many calls.
 */
static bool may_miss_calls(const struct view_stacks *view, const struct aggregate_sums *sums)
{
    struct estimate calls = sums->calls;
    double samples = (double)sums->samples;
    bool alike =
        calls.value * calls.value >= samples / 2 * calls.variance && calls.value >= 2 * samples;
    double unseen = sums->least_weight > 0 ? sums->least_weight : view->aggregate.all.least_weight;
    if (view_stacks_counted(view))
        unseen = fmin(unseen, (double)view->exact.calls - calls.value);
    return !alike && calls.value < FEW_SAMPLES / 2 * (unseen - 1);
}

/* Of samples that count the same, value^2 / variance is their number; of unequal ones it is less.
 */
static bool rough(const struct view_stacks *view, const struct ranking_row *row)
{
    enum ranking_by by = view->query.ranking.by;
    struct estimate key = ranking_key(&row->sums, by);
    return key.value * key.value < FEW_SAMPLES * key.variance ||
           (by == RANKING_BY_CALLS && may_miss_calls(view, &row->sums));
}

/* What else a row says beside what it is ranked by. */
static void print_others(const struct view_stacks *view, const struct ranking_row *row, FILE *out)
{
    static const enum ranking_by others[RANKING_BYS][2] = {
        [RANKING_BY_CALLS] = {RANKING_BY_BYTES, RANKING_BYS},
        [RANKING_BY_BYTES] = {RANKING_BY_CALLS, RANKING_BYS},
        [RANKING_BY_LIVE] = {RANKING_BY_CALLS, RANKING_BY_BYTES},
        [RANKING_BY_TIME] = {RANKING_BY_WAIT, RANKING_BY_CALLS},
        [RANKING_BY_WAIT] = {RANKING_BY_TIME, RANKING_BY_CALLS},
    };
    enum ranking_by by = view->query.ranking.by;
    for (int i = 0; i < 2; i++) {
        enum ranking_by other = others[by][i];
        if (other == RANKING_BYS || ranking_key(&row->sums, other).value <= 0)
            continue;
        fputs(",  ", out);
        print_estimate(ranking_key(&row->sums, other), other, out);
    }
    if (by == RANKING_BY_TIME)
        fprintf(out, ",  %s a call", emit_duration(row->sums.time_ns.value / row->sums.timed).text);
}

/* What a row rests on. */
static void print_samples(const struct view_stacks *view, const struct ranking_row *row,
                          struct emit_style style, FILE *out)
{
    enum ranking_by by = view->query.ranking.by;
    uint64_t samples = row->sums.samples;
    if (view_stacks_logged(view))
        return;
    fprintf(out, "%s  (%s sample%s", style.dim, emit_count((double)samples).text,
            samples == 1 ? "" : "s");
    if (by == RANKING_BY_WAIT)
        fprintf(out, ", of which %s waited", emit_count((double)row->sums.waited).text);
    fprintf(out, "%s)%s", rough(view, row) ? ": a rough guess" : "", style.plain);
}

static void print_row(const struct view_stacks *view, size_t rank, const struct ranking_row *row,
                      FILE *out)
{
    struct emit_style style = emit_style(out);
    enum ranking_by by = view->query.ranking.by;
    struct estimate key = ranking_key(&row->sums, by);
    fprintf(out, "%s%4zu  %7s  ", style.bold, rank, share_text(view_stacks_share(view, row)).text);
    print_estimate(key, by, out);
    fputs(style.plain, out);
    print_others(view, row, out);
    print_samples(view, row, style, out);
    fputc('\n', out);
    view_frames_text(&row->path, out);
}

void view_stacks_rows_text(const struct view_stacks *view, FILE *out)
{
    size_t shown = view_stacks_shown(view);
    for (size_t i = 0; i < shown; i++)
        print_row(view, view->query.reverse ? shown - i : i + 1, view_stacks_row(view, i), out);
}

/* ---- heading --------------------------------------------------------------------------------- */

static void print_coverage(const struct view_stacks *view, FILE *out)
{
    uint64_t lost_since = malloctap_recording_header(view->recording)->lost_since;
    if (lost_since)
        fprintf(out, "Records are missing from %s on: there was no space.\n",
                emit_duration((double)malloctap_recording_ns(view->recording, lost_since)).text);
    if (!view_stacks_exact(view))
        view_switched_text(view->recording, view->query.ranking.by == RANKING_BY_LIVE, out);
    uint64_t missing = view_stacks_missing(view);
    if (missing)
        fprintf(out, "Of these calls %s %s not in the log%s.\n", emit_count((double)missing).text,
                missing == 1 ? "is" : "are",
                view_stacks_exact(view) ? ": the process ended meanwhile" : "");
    double coverage = view_stacks_coverage(view);
    if (!isnan(coverage))
        fprintf(out, "The samples at hand stand for %s of these calls.\n",
                emit_percent(coverage).text);
}

static void print_calls(const struct view_stacks *view, FILE *out)
{
    static const char *const ops[][2] = {{"malloc", "malloc, calloc, realloc and aligned"},
                                         {"free", "free"},
                                         {"all", "malloc, calloc, realloc, aligned and free"}};
    const struct aggregate *aggregate = &view->aggregate;
    const char *of = view->query.op;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        of = strcmp(ops[i][0], of) ? of : ops[i][1];

    fprintf(out, "Calls to %s", of);
    if (view->query.calls.tid)
        fprintf(out, " by thread %" PRIu32, view->query.calls.tid);
    if (view->exact.known) {
        fprintf(out, ": %s", emit_count((double)view->exact.calls).text);
        if (view->query.calls.ops & AGGREGATE_OPS_ALLOC)
            fprintf(out, ", %s bytes requested", emit_size((double)view->exact.bytes).text);
        fputs(" (exact).", out);
    } else {
        fputs(", whose counters were summed up with those of others that have ended.", out);
    }
    if (!view_stacks_logged(view))
        fprintf(out, " %s sampled.",
                emit_count((double)(aggregate->all.samples - aggregate->logged)).text);
    if (aggregate->logged)
        fprintf(out, " %s logged.", emit_count((double)aggregate->logged).text);
    fputc('\n', out);
}

/* What is ranked where that is not the whole run. */
static void print_window(const struct view_stacks *view, FILE *out)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    const struct aggregate *aggregate = &view->aggregate;
    uint64_t until_ns = view->query.calls.until_ns;
    if (!aggregate->partial)
        return;
    if (aggregate->since_ns > view->query.calls.since_ns)
        fprintf(out, "The ring overwrote %s earlier records. ",
                emit_count((double)header->lost.records_overwritten).text);
    fputs("Ranked are only calls", out);
    if (aggregate->since_ns)
        fprintf(out, " from %s%s", emit_duration((double)aggregate->since_ns).text,
                until_ns ? "" : " on");
    if (until_ns)
        fprintf(out, " to %s", emit_duration((double)until_ns).text);
    fputs(": ", out);
    print_estimate(aggregate->all.calls, RANKING_BY_CALLS, out);
    if (aggregate->all.bytes.value > 0) {
        fputs(", ", out);
        print_estimate(aggregate->all.bytes, RANKING_BY_BYTES, out);
    }
    fputs(".\n", out);
}

/* Samples that do not count in times, and why. */
static void print_left_out(const struct view_stacks *view, FILE *out)
{
    const struct aggregate_class *classes = view->aggregate.classes;
    const struct {
        uint64_t samples;
        const char *why;
    } left_out[] = {
        {view->aggregate.logged, "were logged, not timed"},
        {classes[MALLOCTAP_PROBE_NONE].samples, "were not timed"},
        {classes[MALLOCTAP_PROBE_PREEMPTED].samples, "lost the processor meanwhile"},
        {view->query.ranking.by == RANKING_BY_WAIT ? classes[MALLOCTAP_PROBE_UNCLASSED].samples : 0,
         "may have waited, which is not known"},
    };
    const char *separator = "No time is counted for samples that ";
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (!left_out[i].samples)
            continue;
        fprintf(out, "%s%s (%s)", separator, left_out[i].why,
                emit_count((double)left_out[i].samples).text);
        separator = ", that ";
    }
    if (*separator == ',')
        fputs(".\n", out);
}

static void print_basis(const struct view_stacks *view, FILE *out)
{
    static const char *const names[RANKING_BYS] = {"calls", "bytes", "live bytes",
                                                   "time inside the allocator",
                                                   "time waiting in the allocator"};
    enum ranking_by by = view->query.ranking.by;
    fprintf(out, "%s ranked by %s; %s",
            view->query.ranking.callers ? "Functions, with all calls under each," : "Call paths",
            names[by],
            view_stacks_exact(view)    ? "every call was logged, figures are exact"
            : view_stacks_logged(view) ? "NOT EXACT, from a log that is not complete"
                                       : "figures are estimates ± one standard error");
    if (by != RANKING_BY_CALLS && by != RANKING_BY_BYTES)
        fprintf(out, "; %s in all", figure(ranking_key(&view->aggregate.all, by), by).text);
    fputs(".\n", out);
    if (by == RANKING_BY_TIME || by == RANKING_BY_WAIT)
        print_left_out(view, out);
}

/* Where only a part of a path is known, functions further out have more than is shown. */
static void print_cut(const struct view_stacks *view, FILE *out)
{
    enum ranking_by by = view->query.ranking.by;
    struct estimate cut = ranking_key(&view->ranking.cut, by);
    if (cut.value <= 0)
        return;
    fputs("NOT COMPLETE: ", out);
    print_estimate(cut, by, out);
    fputs(" on paths that were cut short; functions further out may have more.\n", out);
}

static void print_header(const struct view_stacks *view, FILE *out)
{
    print_calls(view, out);
    print_window(view, out);
    print_basis(view, out);
    fputs("Lost: ", out);
    view_lost_text(view->recording, out);
    fputs(".\n", out);
    print_coverage(view, out);
    print_cut(view, out);
}

/* Why there is no row. */
static void print_nothing(const struct view_stacks *view, FILE *out)
{
    enum ranking_by by = view->query.ranking.by;
    if (!view->aggregate.all.samples)
        fputs("No such call was recorded.\n", out);
    else if (view->query.ranking.function)
        fputs("No call path goes through such a function.\n", out);
    else if (view->query.ranking.callers && ranking_key(&view->aggregate.all, by).value > 0)
        fputs("No function on these paths has a known name.\n", out);
    else if (by == RANKING_BY_WAIT)
        fprintf(out, "None of %s probed calls waited.\n",
                emit_count((double)aggregate_classed(&view->aggregate)).text);
    else
        fputs("Nothing of that kind was seen.\n", out);
}

void view_stacks_print_text(const struct view_stacks *view, FILE *out)
{
    print_header(view, out);
    fputc('\n', out);
    view_stacks_rows_text(view, out);
    if (!view->ranking.count)
        print_nothing(view, out);
    if (view_stacks_shown(view) < view->ranking.count)
        fprintf(out, "%s more; -n 0 shows all.\n",
                emit_count((double)(view->ranking.count - view_stacks_shown(view))).text);
    view_notes_text(view->symbols, out);
}
