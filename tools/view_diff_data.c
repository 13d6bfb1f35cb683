/* SPDX-License-Identifier: MIT */
/* view_diff_data.c - two recordings compared, for programs: JSON and CSV, the same rows. */
#include "view_counters.h"
#include "view_diff.h"
#include "view_frames.h"

#define ADD(name, value) json_object_object_add(object, name, value)

static json_object *estimate_json(struct estimate estimate)
{
    return emit_json_number(estimate.value);
}

static json_object *error_json(struct estimate estimate)
{
    return emit_json_number(isnan(estimate.value) ? NAN : estimate_stderr(estimate));
}

static bool has(const struct view_diff *view, enum diff_side side, enum ranking_by by)
{
    return !isnan(view_diff_whole(view, side, by).value);
}

/* Every sum of one side, not divided. */
static json_object *sums_json(const struct view_diff *view, enum diff_side side,
                              const struct aggregate_sums *sums)
{
    json_object *object = json_object_new_object();
#define X(NAME, name, field)                                                                       \
    struct estimate field =                                                                        \
        has(view, side, RANKING_BY_##NAME) ? sums->field : (struct estimate){NAN, 0};              \
    ADD(#field, estimate_json(field));                                                             \
    ADD(#field "_stderr", error_json(field));
    RANKING_BY(X)
#undef X
    ADD("samples", emit_json_count(sums->samples));
    return object;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_object *side_json(const struct view_diff *view, enum diff_side side)
{
    const struct view_stacks *stacks = &view->sides[side];
    const struct malloctap_header *header = malloctap_recording_header(stacks->recording);
    json_object *object = json_object_new_object();
    ADD("recording", emit_json_text(malloctap_recording_path(stacks->recording)));
    ADD("command_line", emit_json_text(header->command_line));
    ADD("mode", emit_json_text(view_mode_name(header->mode)));
    ADD("exact", json_object_new_boolean(view_stacks_exact(stacks)));
    ADD("duration_ns", emit_json_number(view->seconds[side] * 1e9));
    ADD("samples", emit_json_count(stacks->aggregate.all.samples));
    ADD("since_ns",
        stacks->aggregate.since_ns ? emit_json_count(stacks->aggregate.since_ns) : NULL);
    ADD("lost", view_lost_json(stacks->recording));
    ADD("damaged_chunks", emit_json_count(stacks->aggregate.damaged));
#define X(NAME, name, field)                                                                       \
    struct estimate field = view_diff_whole(view, side, RANKING_BY_##NAME);                        \
    ADD(#field, estimate_json(field));                                                             \
    ADD(#field "_stderr", error_json(field));
    RANKING_BY(X)
#undef X
    return object;
}

static json_object *row_json(const struct view_diff *view, const struct diff_row *row)
{
    json_object *object = json_object_new_object();
    struct estimate change = diff_change(&view->diff, row);
    ADD("change", estimate_json(change));
    ADD("change_stderr", error_json(change));
    ADD("clear", json_object_new_boolean(diff_is_clear(change)));
    ADD("old", sums_json(view, DIFF_OLD, &row->sums[DIFF_OLD]));
    ADD("new", sums_json(view, DIFF_NEW, &row->sums[DIFF_NEW]));
    ADD("frames", view_frames_json(&view->diff.paths.items[row->path]));
    return object;
}

static json_object *notes_json(const struct view_diff *view)
{
    json_object *object = json_object_new_object();
    ADD("old", view_notes_json(view->sides[DIFF_OLD].symbols));
    ADD("new", view_notes_json(view->sides[DIFF_NEW].symbols));
    return object;
}

void view_diff_print_json(const struct view_diff *view, FILE *out)
{
    json_object *object = json_object_new_object(), *rows = json_object_new_array();
    ADD("by", emit_json_text(ranking_by_name(view->query.by)));
    ADD("per_second", json_object_new_boolean(view->query.per_second));
    ADD("same_mode", json_object_new_boolean(view_diff_same_mode(view)));
    ADD("old", side_json(view, DIFF_OLD));
    ADD("new", side_json(view, DIFF_NEW));
    ADD("rows", emit_json_count(view->diff.count));
    ADD("unchanged", emit_json_count(view->diff.unchanged));
    for (size_t i = 0; i < view_diff_shown(view); i++)
        json_object_array_add(rows, row_json(view, view_diff_row(view, i)));
    ADD("stacks", rows);
    ADD("notes", notes_json(view));
    emit_json_print(object, out);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void csv_estimate(struct emit_csv *csv, struct estimate estimate)
{
    emit_csv_number(csv, estimate.value);
    emit_csv_number(csv, estimate_stderr(estimate));
}

void view_diff_print_csv(const struct view_diff *view, FILE *out)
{
    static const char *const titles[] = {"change", "change_stderr", "old",   "old_stderr",
                                         "new",    "new_stderr",    "clear", "frames"};
    struct emit_csv csv = {out, false};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        emit_csv_text(&csv, titles[i]);
    emit_csv_end(&csv);
    for (size_t i = 0; i < view_diff_shown(view); i++) {
        const struct diff_row *row = view_diff_row(view, i);
        struct estimate change = diff_change(&view->diff, row);
        csv_estimate(&csv, change);
        csv_estimate(&csv, diff_figure(&view->diff, row, DIFF_OLD));
        csv_estimate(&csv, diff_figure(&view->diff, row, DIFF_NEW));
        emit_csv_text(&csv, diff_is_clear(change) ? "true" : "false");
        view_frames_csv(&view->diff.paths.items[row->path], &csv);
        emit_csv_end(&csv);
    }
}
