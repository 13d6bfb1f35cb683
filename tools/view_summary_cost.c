/* SPDX-License-Identifier: MIT */
/* view_summary_cost.c - what the allocator cost, in plain words: time, waiting, memory. */
#include "view_counters.h"
#include "view_frames.h"
#include "view_summary_facts.h"

#include <math.h>

/* ---- time ------------------------------------------------------------------------------------ */

static const struct aggregate_class *class_of(const struct summary *summary,
                                              enum malloctap_probe class)
{
    return &summary->cost.aggregate.classes[class];
}

/* All calls that were probed. */
static double probed_calls(const struct summary *summary)
{
    double calls = 0;
    for (int class = MALLOCTAP_PROBE_NONE + 1; class < MALLOCTAP_PROBES; class ++)
        calls += class_of(summary, (enum malloctap_probe) class)->calls.value;
    return calls;
}

/* Share of them that one thing happened to: "1.2 % of calls", or "1 in 20,000 calls" where it is
 * small. */
static struct emit_text calls_share(const struct summary *summary, enum malloctap_probe class)
{
    double share = class_of(summary, class)->calls.value / probed_calls(summary);
    struct emit_text text;
    if (share <= 0 || share >= 0.001)
        snprintf(text.text, sizeof text.text, "%.30s of calls", emit_percent(share).text);
    else
        snprintf(text.text, sizeof text.text, "1 in %.30s calls", emit_count(1 / share).text);
    return text;
}

/*
 * The histograms are of the whole run, the records only of what a bounded ring still has. With an
 * estimate of 0, what can be said of the records is how many waiting calls would hardly have been
 * missed.
 */
static void print_no_waiting(const struct summary *summary, FILE *out)
{
    const struct aggregate *calls = &summary->cost.aggregate;
    const struct view_cost *cost = &summary->threads.total_cost;
    uint64_t probed = calls->partial ? cost->samples : calls->waiting.classed;
    double one_in =
        calls->partial ? NAN : probed_calls(summary) / waiting_calls_limit(&calls->waiting);
    if (cost->wait_ns.value > 0) {
        struct estimate all = {summary->waited_ns.estimate, cost->wait_ns.variance};
        fprintf(out, "%s in all; no record of it is left\n",
                view_estimate(all, emit_duration).text);
        return;
    }
    fprintf(out, "none of %s probed calls waited", emit_count((double)probed).text);
    if (one_in >= 2 && !isinf(one_in))
        fprintf(out, ": less than one call in %s did (95 %%)", emit_count(floor(one_in)).text);
    fputc('\n', out);
}

/* What records tell is only of this part of the run. */
static void print_part(const struct summary *summary, FILE *out)
{
    const struct aggregate *calls = &summary->cost.aggregate;
    if (calls->partial)
        fprintf(out, " from %s on", emit_duration((double)calls->since_ns).text);
}

static void print_waiting(const struct summary *summary, FILE *out)
{
    const struct waited *ns = &summary->waited_ns;
    fputs("  waiting      ", out);
    if (isnan(ns->low)) {
        print_no_waiting(summary, out);
        return;
    }
    if (!summary->cost.aggregate.partial)
        fprintf(out, "%s waited, ", calls_share(summary, MALLOCTAP_PROBE_BLOCKED).text);
    fprintf(out, "%s in all", emit_duration(ns->estimate).text);
    if (ns->high > ns->low)
        fprintf(out, " (95 %%: %s to %s)", emit_duration(ns->low).text,
                emit_duration(ns->high).text);
    if (summary->wait_function) {
        fputs(", mostly under ", out);
        view_frames_function(summary->wait_function->function.function, out);
        print_part(summary, out);
    }
    fputc('\n', out);
}

/* Of fewer a share says little. */
#define FEW_SAMPLES 10u

static void print_other_classes(const struct summary *summary, FILE *out)
{
    const struct aggregate_class *faulting = class_of(summary, MALLOCTAP_PROBE_FAULTING);
    fprintf(out, "  the others   %s were fast", calls_share(summary, MALLOCTAP_PROBE_FAST).text);
    print_part(summary, out);
    if (faulting->samples)
        fprintf(out, "; %s got pages from the kernel, %s in all",
                calls_share(summary, MALLOCTAP_PROBE_FAULTING).text,
                view_estimate(faulting->time_ns, emit_duration).text);
    if (class_of(summary, MALLOCTAP_PROBE_PREEMPTED)->samples)
        fprintf(out, "; %s lost the processor, their time is left out",
                calls_share(summary, MALLOCTAP_PROBE_PREEMPTED).text);
    if (class_of(summary, MALLOCTAP_PROBE_UNCLASSED)->samples)
        fprintf(out, "; %s may have waited, which is not known",
                calls_share(summary, MALLOCTAP_PROBE_UNCLASSED).text);
    fputs(summary->cost.aggregate.waiting.classed < FEW_SAMPLES ? " (a rough guess)\n" : "\n", out);
}

/* A standard error of a share that says hardly more than that it is between nothing and all. */
#define ROUGH_SHARE 0.25

void summary_print_cost(const struct summary *summary, FILE *out)
{
    const struct waited *share = &summary->waited_share;
    bool cut = summary->off_share < 1 && share->high >= summary->off_share;
    if (isnan(summary->allocator_share.value)) {
        bool logged = summary->header->mode == MALLOCTAP_MODE_LOG;
        fprintf(out, "  thread time  not measured: %s\n",
                logged ? "calls in a log are not timed; record with -m sample"
                       : "no call was timed");
        return;
    }
    struct estimate all = view_at_most_all(summary->allocator_share);
    bool rough = estimate_stderr(all) > ROUGH_SHARE;
    fprintf(out, "  thread time  %s in the allocator%s",
            rough ? emit_percent(all.value).text : view_estimate(all, emit_percent).text,
            rough ? " (a rough guess)" : "");
    if (share->estimate <= 0)
        fputs(", none seen waiting there", out);
    else if (!isnan(share->estimate))
        fprintf(out, ", %s waiting there", emit_percent(share->estimate).text);
    if (share->high > share->low)
        fprintf(out, " (95 %%: %s to %s%s)", emit_percent(share->low).text,
                emit_percent(share->high).text,
                cut ? ", all that they were off their processors" : "");
    fputc('\n', out);
    view_threads_print_probed(&summary->threads, "               ", out);
    if (summary->has_cost) {
        print_waiting(summary, out);
        print_other_classes(summary, out);
    } else {
        fputs(
            "  waiting      not known: the tap makes no system calls in a program that may forbid them\n",
            out);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void print_footprint(const struct footprint *footprint, const char *when, FILE *out)
{
    double asked = footprint->requested.value, rounding = footprint->rounding.value;
    double rest = (double)footprint->rss_bytes - asked - rounding;
    fprintf(out, "%s resident %s: %s asked for", emit_size((double)footprint->rss_bytes).text, when,
            view_estimate(footprint->requested, emit_size).text);
    if (footprint->rounding_known)
        fprintf(out, ", %s rounded up", view_estimate(footprint->rounding, emit_size).text);
    if (rest >= 0)
        fprintf(out, ", %s the rest\n", emit_size(rest).text);
    else
        fputs("; some of it was never touched\n", out);
}

void summary_print_memory(const struct summary *summary, FILE *out)
{
    const struct footprint *peak = &summary->memory.peak, *end = &summary->memory.end;
    char when[64];
    snprintf(when, sizeof when, "at the peak (%.32s)", emit_duration((double)peak->at_ns).text);
    const char *label = "  memory       ";
    if (peak->rss_bytes) {
        fputs(label, out);
        print_footprint(peak, when, out);
        label = "               ";
    }
    if (end->rss_bytes) {
        fputs(label, out);
        print_footprint(end, "at the end", out);
    }
    if (peak->rss_bytes || end->rss_bytes)
        fputs(
            "               (of live blocks, estimated; the rest: what the allocator keeps of freed "
            "ones, code, stacks)\n",
            out);
}
