/* SPDX-License-Identifier: MIT */
#include "view_stacks.h"

#include "view_counters.h"

#include <math.h>
#include <string.h>

/* ---- what is ranked -------------------------------------------------------------------------- */

static int explain(struct malloctap_error *error, const struct malloctap_recording *recording,
                   const char *what)
{
    snprintf(error->text, sizeof error->text, "%.300s: %s", malloctap_recording_path(recording),
             what);
    return -1;
}

static int check(const struct view_stacks *view, struct malloctap_error *error)
{
    const struct aggregate *aggregate = &view->aggregate;
    const struct malloctap_recording *recording = view->recording;
    enum ranking_by by = view->query.ranking.by;
    if (!aggregate->all.samples && aggregate->damaged) {
        *error = aggregate->first_damage;
        return -1;
    }
    if (!aggregate->all.samples &&
        malloctap_recording_header(recording)->mode == MALLOCTAP_MODE_COUNT)
        return explain(error, recording,
                       "calls were counted without stacks (mode count); record with -m sample");
    bool of_time = by == RANKING_BY_TIME || by == RANKING_BY_WAIT;
    if (!aggregate->all.samples) /* that there is none is the answer */
        return 0;
    if (of_time && !aggregate_timed(aggregate))
        return explain(error, recording,
                       aggregate->logged
                           ? "calls in a log are not timed; record with -m sample to rank by time"
                           : "none of these calls was timed; rank them --by calls or bytes");
    if (by == RANKING_BY_WAIT && !aggregate_classed(aggregate))
        return explain(error, recording,
                       "which calls waited is not known, as the program may forbid the system call "
                       "that tells; rank it --by time");
    return 0;
}

int view_stacks_create(const struct malloctap_recording *recording, struct view_stacks_query query,
                       struct view_stacks *ret, struct malloctap_error *error)
{
    *ret = (struct view_stacks){.recording = recording, .query = query};
    if (aggregate_read(recording, query.calls, &ret->aggregate, error) < 0)
        return -1;
    if (check(ret, error) < 0) {
        aggregate_deinit(&ret->aggregate);
        return -1;
    }
    ret->exact = aggregate_exact(recording, query.calls);
    ret->symbols = symbols_create(recording);
    ranking_create(recording, ret->symbols, &ret->aggregate, query.ranking, &ret->ranking);
    return 0;
}

void view_stacks_destroy(struct view_stacks *view)
{
    ranking_deinit(&view->ranking);
    symbols_destroy(view->symbols);
    aggregate_deinit(&view->aggregate);
}

bool view_stacks_counted(const struct view_stacks *view)
{
    return view->exact.known && !view->aggregate.partial;
}

bool view_stacks_logged(const struct view_stacks *view)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    return view->aggregate.logged == view->aggregate.all.samples &&
           (view->aggregate.logged || header->mode == MALLOCTAP_MODE_LOG);
}

/* Counters are of the whole run, and while it goes on they are ahead of what was read. */
static bool counters_tell(const struct view_stacks *view)
{
    return view_stacks_counted(view) && strcmp(view_state_name(view->recording), "running");
}

uint64_t view_stacks_missing(const struct view_stacks *view)
{
    uint64_t counted = view->exact.calls, logged = view->aggregate.logged;
    return counters_tell(view) && view_stacks_logged(view) && counted > logged ? counted - logged
                                                                               : 0;
}

/* Is the path of a call not there because stacks found no space? */
static bool has_pathless(const struct view_stacks *view)
{
    bool found = false;
    if (malloctap_recording_header(view->recording)->lost.stacks_no_space)
        for (size_t i = 0; i < view->aggregate.stack_count; i++)
            found |= !view->aggregate.stacks[i].stack;
    return found;
}

bool view_stacks_exact(const struct view_stacks *view)
{
    const struct aggregate_query *calls = &view->query.calls;
    uint64_t until_ns = calls->until_ns && !calls->live ? calls->until_ns : UINT64_MAX;
    if (!view_stacks_logged(view) || view->aggregate.damaged || has_pathless(view) ||
        view->ranking.cut.samples || view_unrecorded(view->recording, until_ns))
        return false;
    if (!counters_tell(view))
        return !malloctap_recording_switched(view->recording);
    if (calls->live && view_uncovered(view->recording, view->aggregate.live_logged))
        return false;
    return view_stacks_missing(view) <= view_under_way(view->recording, calls->tid);
}

/*
 * Estimated and exact totals differ by chance. When they differ by more than four of the standard
 * errors that the exact total leads one to expect, it is not chance: records are missing, and the
 * reader must know what the rest stands for.
 */
double view_stacks_coverage(const struct view_stacks *view)
{
    struct estimate calls = view->aggregate.all.calls;
    double exact = (double)view->exact.calls;
    if (!view_stacks_counted(view) || view_stacks_logged(view) || calls.value <= 0 || exact <= 0)
        return NAN;
    double expected_error = sqrt(calls.variance * exact / calls.value);
    return fabs(calls.value - exact) > 4 * expected_error + 0.5 ? calls.value / exact : NAN;
}

double view_stacks_total(const struct view_stacks *view, bool *exact)
{
    enum ranking_by by = view->query.ranking.by;
    bool counted = view_stacks_counted(view) && (by == RANKING_BY_CALLS || by == RANKING_BY_BYTES);
    *exact = counted || view_stacks_exact(view);
    if (counted)
        return (double)(by == RANKING_BY_CALLS ? view->exact.calls : view->exact.bytes);
    return ranking_key(&view->aggregate.all, by).value;
}

double view_stacks_share(const struct view_stacks *view, const struct ranking_row *row)
{
    bool exact;
    double whole = view_stacks_total(view, &exact);
    return whole > 0 ? ranking_key(&row->sums, view->query.ranking.by).value / whole : NAN;
}

size_t view_stacks_shown(const struct view_stacks *view)
{
    size_t max = view->query.rows_max, count = view->ranking.count;
    return max && max < count ? max : count;
}

const struct ranking_row *view_stacks_row(const struct view_stacks *view, size_t i)
{
    return &view->ranking.rows[view->query.reverse ? view_stacks_shown(view) - 1 - i : i];
}

void view_stacks_print(const struct view_stacks *view, enum emit_format format, FILE *out)
{
    switch (format) {
    case EMIT_TEXT:
        view_stacks_print_text(view, out);
        break;
    case EMIT_JSON:
        view_stacks_print_json(view, out);
        break;
    case EMIT_CSV:
        view_stacks_print_csv(view, out);
        break;
    }
}
