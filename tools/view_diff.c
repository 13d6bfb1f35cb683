/* SPDX-License-Identifier: MIT */
#include "view_diff.h"

static int create_side(struct malloctap_recording *recording, const struct view_diff_query *query,
                       struct view_stacks *ret, struct malloctap_error *error)
{
    const struct view_stacks_query of_all = {
        .calls = {.ops = AGGREGATE_OPS_ALLOC, .live = true},
        .ranking = {.by = query->by},
        .op = "malloc",
    };
    return view_stacks_create(recording, of_all, ret, error);
}

/* A recording of no time at all is no rate: it is left as it is. */
static double seconds_of(struct malloctap_recording *recording)
{
    uint64_t ns = malloctap_recording_duration_ns(recording);
    return ns ? (double)ns / 1e9 : 1;
}

int view_diff_create(struct malloctap_recording *const recordings[DIFF_SIDES],
                     struct view_diff_query query, struct view_diff *ret,
                     struct malloctap_error *error)
{
    struct diff_input inputs[DIFF_SIDES];
    *ret = (struct view_diff){.query = query};
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++) {
        struct view_stacks *stacks = &ret->sides[side];
        if (create_side(recordings[side], &query, stacks, error) < 0) {
            if (side == DIFF_NEW)
                view_stacks_destroy(&ret->sides[DIFF_OLD]);
            return -1;
        }
        ret->seconds[side] = seconds_of(recordings[side]);
        ret->per[side] = query.per_second ? ret->seconds[side] : 1;
        inputs[side] = (struct diff_input){recordings[side], stacks->symbols, &stacks->aggregate,
                                           ret->per[side]};
    }
    diff_create(inputs, query.by, query.depth, &ret->diff);
    return 0;
}

void view_diff_destroy(struct view_diff *view)
{
    diff_deinit(&view->diff);
    for (enum diff_side side = DIFF_OLD; side < DIFF_SIDES; side++)
        view_stacks_destroy(&view->sides[side]);
}

size_t view_diff_shown(const struct view_diff *view)
{
    size_t max = view->query.rows_max, count = view->diff.count;
    return max && max < count ? max : count;
}

const struct diff_row *view_diff_row(const struct view_diff *view, size_t i)
{
    return &view->diff.rows[view->query.reverse ? view_diff_shown(view) - 1 - i : i];
}

struct estimate view_diff_whole(const struct view_diff *view, enum diff_side side,
                                enum ranking_by by)
{
    const struct view_stacks *stacks = &view->sides[side];
    bool known = (by != RANKING_BY_TIME || aggregate_timed(&stacks->aggregate)) &&
                 (by != RANKING_BY_WAIT || aggregate_classed(&stacks->aggregate));
    if (!known)
        return (struct estimate){NAN, 0};
    if (!stacks->aggregate.partial && by == RANKING_BY_CALLS)
        return (struct estimate){(double)stacks->exact.calls, 0};
    if (!stacks->aggregate.partial && by == RANKING_BY_BYTES)
        return (struct estimate){(double)stacks->exact.bytes, 0};
    return ranking_key(&stacks->aggregate.all, by);
}

bool view_diff_same_mode(const struct view_diff *view)
{
    return view_stacks_logged(&view->sides[DIFF_OLD]) == view_stacks_logged(&view->sides[DIFF_NEW]);
}

void view_diff_print(const struct view_diff *view, enum emit_format format, FILE *out)
{
    switch (format) {
    case EMIT_TEXT:
        view_diff_print_text(view, out);
        break;
    case EMIT_JSON:
        view_diff_print_json(view, out);
        break;
    case EMIT_CSV:
        view_diff_print_csv(view, out);
        break;
    }
}
