/* SPDX-License-Identifier: MIT */
/* view_leaks_text.c - what is live, for people. */
#include "view_counters.h"
#include "view_frames.h"
#include "view_leaks.h"

#include <math.h>

static struct emit_text moment(const struct view_leaks *view, uint64_t ticks)
{
    return emit_duration((double)malloctap_recording_ns(view->recording, ticks));
}

/* "12.0M in 1,034 blocks", each with its error where it is an estimate. */
static void print_sums(const struct leaks_sums *sums, FILE *out)
{
    double blocks = sums->blocks.value;
    fprintf(out, "%s%s in %s block%s", view_estimate(sums->bytes, emit_size).text,
            fabs(sums->bytes.value) < 1023.5 ? " bytes" : "",
            view_estimate(sums->blocks, emit_count).text, blocks == 1 ? "" : "s");
}

/* ---- heading --------------------------------------------------------------------------------- */

static void print_basis(const struct view_leaks *view, FILE *out)
{
    const struct live *live = &view->leaks.live;
    if (view_leaks_exact(view))
        fprintf(out, "Exact, from a log of %s calls: ", emit_count((double)live->logged).text);
    else if (view->logged)
        fprintf(out, "NOT EXACT, from a log that is not complete (%s calls): ",
                emit_count((double)live->logged).text);
    else if (live->logged)
        fprintf(out, "NOT EXACT, from %s calls logged and %s sampled: ",
                emit_count((double)live->logged).text, emit_count((double)live->sampled).text);
    else
        fprintf(out, "Estimated ± one standard error, from %s samples: ",
                emit_count((double)live->sampled).text);
}

static void print_what(const struct view_leaks *view, FILE *out)
{
    const struct view_leaks_query *query = &view->query;
    if (query->growth)
        fprintf(out, "growth from %s to %s", emit_duration((double)query->from_ns).text,
                emit_duration((double)view->now_ns).text);
    else
        fprintf(out, "live %s%s",
                !view->at_end   ? "at "
                : view->running ? "now, at "
                                : "at the end, ",
                emit_duration((double)view->now_ns).text);
    if (query->tid)
        fprintf(out, ", of thread %u", query->tid);
    if (query->since_ns)
        fprintf(out, ", allocated from %s on", emit_duration((double)query->since_ns).text);
    if (query->before_ns != UINT64_MAX)
        fprintf(out, ", allocated until %s", emit_duration((double)query->before_ns).text);
}

static void print_peak(const struct view_leaks *view, FILE *out)
{
    const struct live *live = &view->leaks.live;
    fprintf(out, "The peak %s %s%s in %s block%s at %s", view->complete ? "was" : "seen was",
            view->leaks.live.sampled ? "about " : "", emit_size(live->peak.bytes).text,
            emit_count(live->peak.blocks).text, live->peak.blocks == 1 ? "" : "s",
            moment(view, live->peak_ticks).text);
    fputs(view->query.at_ns == UINT64_MAX ? ".\n" : ", up to then.\n", out);
}

/* What is live and in no row. */
static void print_apart(const struct view_leaks *view, FILE *out)
{
    const struct leaks_groups *groups = &view->groups;
    if (groups->runtime.records) {
        fputs("Beside these, ", out);
        print_sums(&groups->runtime, out);
        fputs(" are libc's and libstdc++'s own (--all shows them).\n", out);
    }
    if (groups->suppressed.records) {
        fputs("Suppressed: ", out);
        print_sums(&groups->suppressed, out);
        fputs(".\n", out);
    }
    for (size_t i = 0; i < view->hidden->count; i++) {
        if (!groups->by_pattern[i].records)
            continue;
        fputs("        ", out);
        print_sums(&groups->by_pattern[i], out);
        fputs(" by leak:", out);
        emit_put(out, view->hidden->patterns[i]);
        fputc('\n', out);
    }
}

/* ---- what the figures cannot say ------------------------------------------------------------- */

static void print_missing(const struct view_leaks *view, FILE *out)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    const struct leaks *leaks = &view->leaks;
    if (view->missing) {
        fprintf(out, "NOT COMPLETE: %s call%s left no record%s",
                emit_count((double)view->missing).text, view->missing == 1 ? "" : "s",
                view->logged ? "; a block may be shown that was freed, or one be missing" : "");
        if (header->lost_since)
            fprintf(out, "; from %s on there was no space", moment(view, header->lost_since).text);
        fputs(".\n", out);
    }
    if (view->pathless)
        fputs(
            "NOT COMPLETE: stacks found no space; blocks of their paths are in the row without one.\n",
            out);
    if (view->switched)
        view_switched_text(view->recording, true, out);
    if (header->overwritten_until)
        fprintf(out, "NOT COMPLETE: the ring has everything only from %s on. ",
                moment(view, header->overwritten_until).text);
    if (leaks->uncertain.records) {
        print_sums(&leaks->uncertain, out);
        fputs(" older than that may have ended without a trace: not shown", out);
    }
    if (header->overwritten_until)
        fputs(leaks->uncertain.records ? ".\n" : "\n", out);
}

static void print_oddities(const struct view_leaks *view, FILE *out)
{
    const struct live *live = &view->leaks.live;
    if (live->frees_unknown)
        fprintf(out,
                "%s free%s of blocks whose allocation was not recorded: made before recording "
                "began, or by an allocator that is not seen.\n",
                emit_count((double)live->frees_unknown).text, live->frees_unknown == 1 ? "" : "s");
    if (live->ends_missed)
        fprintf(out, "%s block%s ended unseen: the address was obtained again.\n",
                emit_count((double)live->ends_missed).text, live->ends_missed == 1 ? "" : "s");
    if (live->untracked)
        fprintf(out, "%s sample%s left out: %s end would not have been noticed.\n",
                emit_count((double)live->untracked).text, live->untracked == 1 ? "" : "s",
                live->untracked == 1 ? "its" : "their");
}

static void print_heading(const struct view_leaks *view, FILE *out)
{
    print_basis(view, out);
    print_what(view, out);
    fputs(": ", out);
    print_sums(&view->groups.all, out);
    fputs(".\n", out);
    print_peak(view, out);
    print_apart(view, out);
    print_missing(view, out);
    print_oddities(view, out);
    fputs("Lost: ", out);
    view_lost_text(view->recording, out);
    fputs(".\n", out);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void print_row(const struct view_leaks *view, size_t rank, const struct leaks_row *row,
                      FILE *out)
{
    struct emit_style style = emit_style(out);
    const struct leaks_sums *sums = &row->sums;
    double whole = view->groups.all.bytes.value;
    fprintf(out, "%s%4zu  ", style.bold, rank);
    if (!view->query.growth)
        fprintf(out, "%7s  ", whole > 0 ? emit_percent(sums->bytes.value / whole).text : "");
    else if (sums->bytes.value >= 0)
        fputc('+', out);
    print_sums(sums, out);
    fputs(style.plain, out);
    if (sums->records > 1)
        fprintf(out, ", allocated from %s to %s", moment(view, sums->first_ticks).text,
                moment(view, sums->last_ticks).text);
    else if (sums->records)
        fprintf(out, ", allocated at %s", moment(view, sums->first_ticks).text);
    if (sums->records)
        fprintf(out, ", %s%s old", sums->records > 1 ? "up to " : "",
                emit_duration((double)view_leaks_age_ns(view, sums)).text);
    if (!view->leaks.live.logged)
        fprintf(out, "%s  (%s sample%s)%s", style.dim, emit_count((double)sums->records).text,
                sums->records == 1 ? "" : "s", style.plain);
    fputc('\n', out);
    view_frames_text(&view->groups.paths.items[row->path], out);
}

static void print_left_out(const struct view_leaks *view, FILE *out)
{
    size_t shown = view_leaks_shown(view), large = view_leaks_large(view);
    if (shown < large)
        fprintf(out, "%s more; -n 0 shows all.\n", emit_count((double)(large - shown)).text);
    if (large < view->groups.count)
        fprintf(out, "%s more with less than %s bytes each.\n",
                emit_count((double)(view->groups.count - large)).text,
                emit_size((double)view->query.min_bytes).text);
}

void view_leaks_print_text(const struct view_leaks *view, FILE *out)
{
    print_heading(view, out);
    fputc('\n', out);
    for (size_t i = 0; i < view_leaks_shown(view); i++)
        print_row(view, i + 1, &view->groups.rows[i], out);
    bool others = view->groups.runtime.records || view->groups.suppressed.records;
    if (!view->groups.count)
        fputs(view->query.growth ? "No difference.\n"
              : others           ? "Nothing else is live.\n"
                                 : "Nothing is live.\n",
              out);
    print_left_out(view, out);
    view_notes_text(view->symbols, out);
}
