/* SPDX-License-Identifier: MIT */
#include "view_counters.h"

#include <math.h>
#include <string.h>

uint64_t view_failed(const struct malloctap_counters *counters)
{
    uint64_t failed = 0;
    for (int op = 0; op < MALLOCTAP_OPS_ALLOC; op++)
        failed += counters->failed[op];
    return failed;
}

uint64_t view_bytes(const struct malloctap_counters *counters)
{
    uint64_t bytes = 0;
    for (int op = 0; op < MALLOCTAP_OPS_ALLOC; op++)
        bytes += counters->bytes[op];
    return bytes;
}

uint64_t view_calls(const struct malloctap_counters *counters)
{
    uint64_t calls = 0;
    for (int op = 0; op < MALLOCTAP_OPS; op++)
        calls += malloctap_counters_calls(counters, (enum malloctap_op)op);
    return calls;
}

void view_counters_add(json_object *object, const struct malloctap_counters *counters)
{
#define X(name, value) json_object_object_add(object, #name, emit_json_count(value));
    VIEW_COUNTERS(X)
#undef X
}

/* ---- losses ---------------------------------------------------------------------------------- */

/* What each loss means to the reader; the name is the counter's. */
#define LOSS_PHRASES(X)                                                                            \
    X(losses, records_overwritten, "records overwritten by newer ones")                            \
    X(losses, records_no_space, "records that found no space")                                     \
    X(losses, stacks_no_space, "stacks that found no space")                                       \
    X(losses, modules_no_space, "loaded objects not described")                                    \
    X(losses, threads_no_space, "threads without counters of their own")                           \
    X(losses, extents_failed, "failed attempts to grow the file")                                  \
    X(losses, foreign_blocks, "blocks freed that an unseen allocator made")                        \
    X(losses, unwinder_missing, "calls recorded without a stack, for want of a stack walker")      \
    X(header, children_unrecorded, "child processes that could not be recorded")                   \
    X(counters, samples_lost, "calls that should have been recorded and were not")                 \
    X(counters, stacks_truncated, "stacks cut short")                                              \
    X(counters, lives_lost, "sampled blocks whose end went unseen")                                \
    X(counters, uncounted, "calls made while the tap was at work, not counted")

enum loss {
#define X(from, name, phrase) LOSS_##name,
    LOSS_PHRASES(X)
#undef X
        LOSSES,
};

/* A loss that the format gains must get a phrase here, or it would be lost in silence. */
#define X(name) static_assert(LOSS_##name < LOSSES, #name);
MALLOCTAP_LOSSES(X)
#undef X

static const struct {
    const char *name;
    const char *phrase;
} loss_texts[LOSSES] = {
#define X(from, name, phrase) {#name, phrase},
    LOSS_PHRASES(X)
#undef X
};

static void read_losses(const struct malloctap_recording *recording, uint64_t ret[LOSSES])
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    const struct malloctap_losses *losses = &header->lost;
    struct malloctap_counters totals, *counters = &totals;
    malloctap_recording_totals(recording, counters);
#define X(from, name, phrase) ret[LOSS_##name] = from->name;
    LOSS_PHRASES(X)
#undef X
}

void view_lost_text(const struct malloctap_recording *recording, FILE *out)
{
    uint64_t losses[LOSSES];
    const char *separator = "";
    read_losses(recording, losses);
    for (int i = 0; i < LOSSES; i++) {
        if (!losses[i])
            continue;
        fprintf(out, "%s%s %s", separator, emit_count((double)losses[i]).text,
                loss_texts[i].phrase);
        separator = "; ";
    }
    if (!*separator)
        fputs("nothing", out);
}

json_object *view_lost_json(const struct malloctap_recording *recording)
{
    uint64_t losses[LOSSES];
    json_object *object = json_object_new_object();
    read_losses(recording, losses);
    for (int i = 0; i < LOSSES; i++)
        json_object_object_add(object, loss_texts[i].name, emit_json_count(losses[i]));
    return object;
}

uint64_t view_unrecorded(const struct malloctap_recording *recording, uint64_t until_ns)
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    struct malloctap_counters totals;
    malloctap_recording_totals(recording, &totals);
    bool lost_later =
        header->lost_since && malloctap_recording_ns(recording, header->lost_since) > until_ns;
    /* A call whose record found no space is counted as both. */
    uint64_t no_space = header->lost.records_no_space, calls = totals.samples_lost;
    return totals.uncounted + (lost_later ? 0 : no_space > calls ? no_space : calls);
}

uint64_t view_under_way(const struct malloctap_recording *recording, uint32_t tid)
{
    struct malloctap_thread_slot slot;
    uint64_t threads = 0;
    if (!malloctap_recording_orphaned(recording))
        return 0;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);)
        threads += slot.state == MALLOCTAP_THREAD_LIVE && (!tid || slot.tid == tid);
    return threads;
}

uint64_t view_uncovered(const struct malloctap_recording *recording, uint64_t logged)
{
    struct malloctap_counters totals;
    malloctap_recording_totals(recording, &totals);
    uint64_t counted = view_calls(&totals) - totals.frees_null;
    bool running = !strcmp(view_state_name(recording), "running");
    return !running && counted > logged + view_under_way(recording, 0) ? counted - logged : 0;
}

void view_switched_text(const struct malloctap_recording *recording, bool live, FILE *out)
{
    if (malloctap_recording_switched(recording))
        fprintf(out, "NOT COMPLETE: what is recorded was switched meanwhile; %s.\n",
                live ? "a block may be missing, and one whose end went unrecorded is still shown"
                     : "calls may be missing");
}

/* ---- estimates ------------------------------------------------------------------------------- */

/* More digits of an error than two mean nothing. */
static double two_digits(double error)
{
    double unit = pow(10, floor(log10(error)) - 1);
    return unit > 1 ? round(error / unit) * unit : error;
}

struct view_estimate view_estimate(struct estimate estimate, struct emit_text (*figure)(double))
{
    struct view_estimate result;
    if (estimate.variance > 0)
        snprintf(result.text, sizeof result.text, "%s ± %s", figure(estimate.value).text,
                 figure(two_digits(estimate_stderr(estimate))).text);
    else
        snprintf(result.text, sizeof result.text, "%s", figure(estimate.value).text);
    return result;
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *view_op_name(enum malloctap_op op)
{
    static const char *const names[MALLOCTAP_OPS] = {
#define X(NAME, name) #name,
        MALLOCTAP_ALLOC_OPS(X)
#undef X
            "free"};
    return names[op];
}

const char *view_mode_name(uint32_t mode)
{
    switch (mode) {
    case MALLOCTAP_MODE_COUNT:
        return "count";
    case MALLOCTAP_MODE_SAMPLE:
        return "sample";
    case MALLOCTAP_MODE_LOG:
        return "log";
    default:
        return "unknown";
    }
}

const char *view_state_name(const struct malloctap_recording *recording)
{
    if (malloctap_recording_header(recording)->state == MALLOCTAP_STATE_FINISHED)
        return "finished";
    return malloctap_recording_orphaned(recording) ? "killed" : "running";
}
