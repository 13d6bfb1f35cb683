/* SPDX-License-Identifier: MIT */
#include "view_leaks.h"

#include "view_counters.h"

#include <string.h>

/* ---- what is known --------------------------------------------------------------------------- */

/* Records that were lost as the losses tell, up to the moment that is looked at. */
static uint64_t lost_records(const struct view_leaks *view)
{
    return malloctap_recording_header(view->recording)->lost.records_overwritten +
           view_unrecorded(view->recording, view->now_ns);
}

static void judge(struct view_leaks *view)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    const struct live *live = &view->leaks.live;
    uint64_t lost = lost_records(view);
    view->logged = header->mode == MALLOCTAP_MODE_LOG && !live->sampled;
    /* At its end, when they have come to rest, the counters tell what is not in a log. */
    bool counters_tell = view->logged && view->at_end && !view->running;
    uint64_t uncovered = counters_tell ? view_uncovered(view->recording, live->logged) : 0;
    view->missing = uncovered > lost ? uncovered : lost;
    view->switched = malloctap_recording_switched(view->recording) && !counters_tell;
    view->complete = !view->missing && !view->leaks.damaged && !view->switched && !live->untracked;
}

/* Is the path of a block not there because stacks found no space? */
static bool has_pathless(const struct view_leaks *view)
{
    bool found = false;
    if (malloctap_recording_header(view->recording)->lost.stacks_no_space)
        for (size_t i = 0; i < view->leaks.stack_count; i++)
            found |= !view->leaks.stacks[i].stack && view->leaks.stacks[i].sums.records;
    return found;
}

static int explain(struct malloctap_error *error, const struct malloctap_recording *recording,
                   const char *what)
{
    snprintf(error->text, sizeof error->text, "%.300s: %s", malloctap_recording_path(recording),
             what);
    return -1;
}

static int check(const struct view_leaks *view, struct malloctap_error *error)
{
    const struct leaks *leaks = &view->leaks;
    if (leaks->live.logged || leaks->live.sampled)
        return 0;
    if (leaks->damaged) {
        *error = leaks->first_damage;
        return -1;
    }
    if (malloctap_recording_header(view->recording)->mode == MALLOCTAP_MODE_COUNT)
        return explain(error, view->recording,
                       "calls were counted only (mode count); record with -m log, or -m sample");
    return 0;
}

/* ---- the view -------------------------------------------------------------------------------- */

static struct leaks_query ticks_query(const struct malloctap_recording *recording,
                                      const struct view_leaks_query *query)
{
    struct leaks_query ticks = {.at = UINT64_MAX, .before = UINT64_MAX, .tid = query->tid};
    if (query->at_ns != UINT64_MAX)
        ticks.at = malloctap_recording_last_tick(recording, query->at_ns);
    if (query->before_ns != UINT64_MAX)
        ticks.before = malloctap_recording_last_tick(recording, query->before_ns);
    if (query->since_ns)
        ticks.since = malloctap_recording_ticks(recording, query->since_ns);
    if (query->growth)
        ticks.from = malloctap_recording_last_tick(recording, query->from_ns);
    return ticks;
}

int view_leaks_create(struct malloctap_recording *recording, struct view_leaks_query query,
                      const struct suppressions *hidden, struct view_leaks *ret,
                      struct malloctap_error *error)
{
    uint64_t end_ns = malloctap_recording_duration_ns(recording);
    *ret = (struct view_leaks){.recording = recording, .query = query, .hidden = hidden};
    ret->at_end = query.at_ns >= end_ns;
    ret->now_ns = ret->at_end ? end_ns : query.at_ns;
    ret->running = !strcmp(view_state_name(recording), "running");
    if (ret->running) /* threads are read one after another: to a moment that all of them passed */
        query.at_ns = ret->now_ns;
    if (query.growth && query.from_ns >= ret->now_ns)
        return explain(error, recording, "--growth is not before the moment that is looked at");
    if (leaks_read(recording, ticks_query(recording, &query), &ret->leaks, error) < 0)
        return -1;
    if (check(ret, error) < 0) {
        leaks_deinit(&ret->leaks);
        return -1;
    }
    judge(ret);
    ret->pathless = has_pathless(ret);
    ret->symbols = symbols_create(recording);
    leaks_group(
        recording, ret->symbols, &ret->leaks,
        (struct leaks_grouping){.depth = query.depth, .runtime = query.runtime, .hidden = hidden},
        &ret->groups);
    return 0;
}

void view_leaks_destroy(struct view_leaks *view)
{
    leaks_groups_deinit(&view->groups);
    symbols_destroy(view->symbols);
    leaks_deinit(&view->leaks);
}

bool view_leaks_exact(const struct view_leaks *view)
{
    return view->logged && view->complete && !view->pathless;
}

size_t view_leaks_large(const struct view_leaks *view)
{
    size_t large = view->groups.count;
    if (view->query.min_bytes) /* the rows are sorted: the small ones are the last */
        while (large &&
               view->groups.rows[large - 1].sums.bytes.value < (double)view->query.min_bytes)
            large--;
    return large;
}

size_t view_leaks_shown(const struct view_leaks *view)
{
    size_t max = view->query.rows_max, large = view_leaks_large(view);
    return max && max < large ? max : large;
}

uint64_t view_leaks_age_ns(const struct view_leaks *view, const struct leaks_sums *sums)
{
    uint64_t first_ns = malloctap_recording_ns(view->recording, sums->first_ticks);
    return sums->first_ticks && first_ns < view->now_ns ? view->now_ns - first_ns : 0;
}

void view_leaks_print(const struct view_leaks *view, enum emit_format format, FILE *out)
{
    switch (format) {
    case EMIT_TEXT:
        view_leaks_print_text(view, out);
        break;
    case EMIT_JSON:
        view_leaks_print_json(view, out);
        break;
    case EMIT_CSV:
        view_leaks_print_csv(view, out);
        break;
    }
}
