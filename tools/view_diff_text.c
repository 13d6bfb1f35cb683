/* SPDX-License-Identifier: MIT */
/* view_diff_text.c - two recordings compared, for people. */
#include "view_counters.h"
#include "view_diff.h"
#include "view_frames.h"

/* Durations that differ by more than this share are worth a word. */
#define DURATIONS_DIFFER 0.1

static struct emit_text (*figure_of(enum ranking_by by))(double)
{
    switch (by) {
    case RANKING_BY_BYTES:
    case RANKING_BY_LIVE:
        return emit_size;
    case RANKING_BY_TIME:
    case RANKING_BY_WAIT:
        return emit_duration;
    default:
        return emit_count;
    }
}

/* "+1.2M ± 0.1M": the sign apart, since not every figure has a negative form. */
static void print_signed(struct estimate change, enum ranking_by by, FILE *out)
{
    fputc(change.value < 0 ? '-' : '+', out);
    change.value = fabs(change.value);
    fputs(view_estimate(change, figure_of(by)).text, out);
}

/* "+12.5 %", "new", "gone". */
static void print_relative(struct estimate old, struct estimate new, FILE *out)
{
    if (old.value == 0)
        fputs("new", out);
    else if (new.value == 0)
        fputs("gone", out);
    else
        fprintf(out, "%+.1f %%", 100 * (new.value - old.value) / old.value);
}

/* ---- heading --------------------------------------------------------------------------------- */

static void print_whole(const struct view_diff *view, enum ranking_by by, FILE *out)
{
    static const char *const names[RANKING_BYS] = {"calls", "bytes", "live", "in malloc",
                                                   "waiting"};
    struct estimate old = view_diff_whole(view, DIFF_OLD, by);
    struct estimate new = view_diff_whole(view, DIFF_NEW, by);
    if (isnan(old.value) || isnan(new.value))
        return;
    struct estimate change = diff_of(old, view->per[DIFF_OLD], new, view->per[DIFF_NEW]);
    old.value /= view->per[DIFF_OLD];
    new.value /= view->per[DIFF_NEW];
    fprintf(out, "%s%s ", by == RANKING_BY_CALLS ? "" : "; ", names[by]);
    print_signed(change, by, out);
    fprintf(out, " (%s -> %s", figure_of(by)(old.value).text, figure_of(by)(new.value).text);
    if (change.value != 0) {
        fputs(", ", out);
        print_relative(old, new, out);
    }
    fputc(')', out);
}

static void print_side(const struct view_diff *view, const char *label, enum diff_side side,
                       FILE *out)
{
    const struct view_stacks *stacks = &view->sides[side];
    const struct malloctap_header *header = malloctap_recording_header(stacks->recording);
    fprintf(out, "%s  ", label);
    emit_put(out, malloctap_recording_path(stacks->recording));
    fprintf(out, ": %s, %s calls %s; lost: ", emit_duration(view->seconds[side] * 1e9).text,
            emit_count((double)stacks->aggregate.all.samples).text,
            view_stacks_logged(stacks) ? "logged" : "sampled");
    view_lost_text(stacks->recording, out);
    fputs(".\n      ", out);
    emit_put(out, header->command_line);
    fputc('\n', out);
}

/* What of one side is not in the figures. */
static void print_missing(const struct view_diff *view, enum diff_side side, FILE *out)
{
    const struct view_stacks *stacks = &view->sides[side];
    const char *name = side == DIFF_OLD ? "old" : "new";
    uint64_t missing = view_stacks_missing(stacks);
    double coverage = view_stacks_coverage(stacks);
    if (stacks->aggregate.partial)
        fprintf(out, "Of the %s one only what came after %s is known whole.\n", name,
                emit_duration((double)stacks->aggregate.since_ns).text);
    if (missing && !view_stacks_exact(stacks))
        fprintf(out, "Of the %s one %s call%s not in the log.\n", name,
                emit_count((double)missing).text, missing == 1 ? " is" : "s are");
    if (!isnan(coverage))
        fprintf(out, "The samples of the %s one stand for %s of its calls.\n", name,
                emit_percent(coverage).text);
    if (malloctap_recording_switched(stacks->recording) && !view_stacks_exact(stacks)) {
        fprintf(out, "The %s one is ", name);
        view_switched_text(stacks->recording, view->query.by == RANKING_BY_LIVE, out);
    }
}

static void print_caveats(const struct view_diff *view, FILE *out)
{
    const struct view_stacks *old = &view->sides[DIFF_OLD], *new = &view->sides[DIFF_NEW];
    double ratio = view->seconds[DIFF_NEW] / view->seconds[DIFF_OLD];
    if (!view->query.per_second && (ratio > 1 + DURATIONS_DIFFER || ratio < 1 - DURATIONS_DIFFER))
        fprintf(out, "The new one lasted %.2f times as long; --per-second compares rates.\n",
                ratio);
    if (!view_diff_same_mode(view))
        fprintf(out, "One is a log%s, the other is estimated from samples.\n",
                view_stacks_exact(old) || view_stacks_exact(new) ? " and exact" : "");
    print_missing(view, DIFF_OLD, out);
    print_missing(view, DIFF_NEW, out);
}

static void print_heading(const struct view_diff *view, FILE *out)
{
    const struct view_stacks *old = &view->sides[DIFF_OLD], *new = &view->sides[DIFF_NEW];
    bool exact = view_stacks_exact(old) && view_stacks_exact(new);
    bool logged = view_stacks_logged(old) && view_stacks_logged(new);
    fputs(view->query.per_second ? "A second: " : "In all: ", out);
    for (enum ranking_by by = 0; by < RANKING_BYS; by++)
        print_whole(view, by, out);
    fputs(".\n", out);
    print_side(view, "old", DIFF_OLD, out);
    print_side(view, "new", DIFF_NEW, out);
    print_caveats(view, out);
    fprintf(out, "Call paths by change in %s%s%s.\n", ranking_by_name(view->query.by),
            view->query.per_second ? " a second" : "",
            exact    ? "; every call was logged, figures are exact"
            : logged ? "; NOT EXACT, from a log that is not complete"
                     : "; ± one standard error, * where the change is more than two");
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void print_row(const struct view_diff *view, size_t rank, const struct diff_row *row,
                      FILE *out)
{
    struct emit_style style = emit_style(out);
    enum ranking_by by = view->query.by;
    struct estimate old = diff_figure(&view->diff, row, DIFF_OLD);
    struct estimate new = diff_figure(&view->diff, row, DIFF_NEW);
    struct estimate change = diff_change(&view->diff, row);
    fprintf(out, "%s%4zu %c ", style.bold, rank,
            change.variance > 0 && diff_is_clear(change) ? '*' : ' ');
    print_signed(change, by, out);
    fprintf(out, "%s  (%s -> %s, ", style.plain, view_estimate(old, figure_of(by)).text,
            view_estimate(new, figure_of(by)).text);
    print_relative(old, new, out);
    fputs(")\n", out);
    view_frames_text(&view->diff.paths.items[row->path], out);
}

void view_diff_print_text(const struct view_diff *view, FILE *out)
{
    size_t shown = view_diff_shown(view);
    print_heading(view, out);
    fputc('\n', out);
    for (size_t i = 0; i < shown; i++)
        print_row(view, view->query.reverse ? shown - i : i + 1, view_diff_row(view, i), out);
    if (!view->diff.count)
        fputs("No difference.\n", out);
    if (shown < view->diff.count)
        fprintf(out, "%s more; -n 0 shows all.\n",
                emit_count((double)(view->diff.count - shown)).text);
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        view_notes_text(view->sides[side].symbols, out);
}
