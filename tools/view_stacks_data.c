/* SPDX-License-Identifier: MIT */
/* view_stacks_data.c - the ranking for programs: JSON and CSV, the same rows. */
#include "view_counters.h"
#include "view_frames.h"
#include "view_stacks.h"

#include <math.h>

/* Estimates of a row: name, whether the recording has them. */
#define ESTIMATES(X)                                                                               \
    X(calls, true)                                                                                 \
    X(bytes, true)                                                                                 \
    X(live_bytes, view->query.calls.live)                                                          \
    X(live_blocks, view->query.calls.live)                                                         \
    X(time_ns, aggregate_timed(&view->aggregate))                                                  \
    X(wait_ns, aggregate_classed(&view->aggregate))

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_object *row_json(const struct view_stacks *view, const struct ranking_row *row)
{
    json_object *object = json_object_new_object();
#define X(name, known)                                                                             \
    json_object_object_add(object, #name, emit_json_number(known ? row->sums.name.value : NAN));   \
    json_object_object_add(object, #name "_stderr",                                                \
                           emit_json_number(known ? estimate_stderr(row->sums.name) : NAN));
    ESTIMATES(X)
#undef X
    json_object_object_add(object, "samples", emit_json_count(row->sums.samples));
    json_object_object_add(object, "waited_samples", emit_json_count(row->sums.waited));
    json_object_object_add(object, "share", emit_json_share(view_stacks_share(view, row)));
    json_object_object_add(object, "merged", emit_json_count(row->merged));
    json_object_object_add(object, "truncated", json_object_new_boolean(row->path.truncated));
    json_object_object_add(object, "frames_hidden", emit_json_count(row->path.hidden));
    json_object_object_add(object, "frames", view_frames_json(&row->path));
    return object;
}

json_object *view_stacks_rows_json(const struct view_stacks *view)
{
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < view_stacks_shown(view); i++)
        json_object_array_add(rows, row_json(view, view_stacks_row(view, i)));
    return rows;
}

void view_stacks_print_json(const struct view_stacks *view, FILE *out)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    const struct aggregate *aggregate = &view->aggregate;
    const struct aggregate_query *calls = &view->query.calls;
    json_object *object = json_object_new_object();
    bool exact, counted = view_stacks_counted(view);
    double total = view_stacks_total(view, &exact);
    struct estimate all = ranking_key(&aggregate->all, view->query.ranking.by);
#define ADD(name, value) json_object_object_add(object, name, value)
    ADD("by", emit_json_text(ranking_by_name(view->query.ranking.by)));
    ADD("total", emit_json_number(total));
    ADD("total_exact", json_object_new_boolean(exact));
    ADD("total_stderr", emit_json_number(exact ? 0 : estimate_stderr(all)));
    ADD("callers", json_object_new_boolean(view->query.ranking.callers));
    ADD("op", emit_json_text(view->query.op));
    ADD("thread", calls->tid ? emit_json_count(calls->tid) : NULL);
    ADD("since_ns", aggregate->since_ns ? emit_json_count(aggregate->since_ns) : NULL);
    ADD("until_ns", calls->until_ns ? emit_json_count(calls->until_ns) : NULL);
    ADD("mode", emit_json_text(view_mode_name(header->mode)));
    ADD("calls", counted ? emit_json_count(view->exact.calls)
                         : emit_json_number(aggregate->all.calls.value));
    ADD("bytes", counted ? emit_json_count(view->exact.bytes)
                         : emit_json_number(aggregate->all.bytes.value));
    ADD("samples", emit_json_count(aggregate->all.samples));
    ADD("logged", emit_json_count(aggregate->logged));
    ADD("exact", json_object_new_boolean(view_stacks_exact(view)));
    ADD("preempted", emit_json_count(aggregate->classes[MALLOCTAP_PROBE_PREEMPTED].samples));
#undef ADD
    json_object_object_add(object, "lost", view_lost_json(view->recording));
    json_object_object_add(object, "damaged_chunks", emit_json_count(view->aggregate.damaged));
    json_object_object_add(object, "untracked_blocks", emit_json_count(view->aggregate.untracked));
    json_object_object_add(
        object, "cut_short",
        emit_json_number(ranking_key(&view->ranking.cut, view->query.ranking.by).value));
    json_object_object_add(object, "rows", emit_json_count(view->ranking.count));
    json_object_object_add(object, "stacks", view_stacks_rows_json(view));
    json_object_object_add(object, "notes", view_notes_json(view->symbols));
    emit_json_print(object, out);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

void view_stacks_print_csv(const struct view_stacks *view, FILE *out)
{
    struct emit_csv csv = {out, false};
#define X(name, known)                                                                             \
    emit_csv_text(&csv, #name);                                                                    \
    emit_csv_text(&csv, #name "_stderr");
    ESTIMATES(X)
#undef X
    emit_csv_text(&csv, "samples");
    emit_csv_text(&csv, "share");
    emit_csv_text(&csv, "frames");
    emit_csv_end(&csv);
    for (size_t i = 0; i < view_stacks_shown(view); i++) {
        const struct ranking_row *row = view_stacks_row(view, i);
#define X(name, known)                                                                             \
    emit_csv_number(&csv, known ? row->sums.name.value : NAN);                                     \
    emit_csv_number(&csv, known ? estimate_stderr(row->sums.name) : NAN);
        ESTIMATES(X)
#undef X
        emit_csv_count(&csv, row->sums.samples);
        emit_csv_share(&csv, view_stacks_share(view, row));
        view_frames_csv(&row->path, &csv);
        emit_csv_end(&csv);
    }
}
