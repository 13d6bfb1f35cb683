/* SPDX-License-Identifier: MIT */
/* view_leaks_data.c - what is live, for programs: JSON and CSV, the same rows. */
#include "view_counters.h"
#include "view_frames.h"
#include "view_leaks.h"

#include <math.h>

#define ADD(name, value) json_object_object_add(object, name, value)

static json_object *moment_json(const struct view_leaks *view, uint64_t ticks)
{
    return ticks ? emit_json_count(malloctap_recording_ns(view->recording, ticks)) : NULL;
}

static void add_sums(json_object *object, const struct leaks_sums *sums)
{
    ADD("bytes", emit_json_number(sums->bytes.value));
    ADD("blocks", emit_json_number(sums->blocks.value));
    ADD("bytes_stderr", emit_json_number(estimate_stderr(sums->bytes)));
    ADD("blocks_stderr", emit_json_number(estimate_stderr(sums->blocks)));
}

static json_object *sums_json(const struct leaks_sums *sums)
{
    json_object *object = json_object_new_object();
    add_sums(object, sums);
    return object;
}

static json_object *row_json(const struct view_leaks *view, const struct leaks_row *row)
{
    json_object *object = json_object_new_object();
    const struct leaks_sums *sums = &row->sums;
    const struct path *path = &view->groups.paths.items[row->path];
    add_sums(object, sums);
    ADD("oldest_age_ns", sums->records ? emit_json_count(view_leaks_age_ns(view, sums)) : NULL);
    ADD("first_ns", moment_json(view, sums->first_ticks));
    ADD("last_ns", moment_json(view, sums->last_ticks));
    ADD("records", emit_json_count(sums->records));
    ADD("merged", emit_json_count(row->merged));
    ADD("truncated", json_object_new_boolean(path->truncated));
    ADD("frames_hidden", emit_json_count(path->hidden));
    ADD("frames", view_frames_json(path));
    return object;
}

static json_object *suppressed_json(const struct view_leaks *view)
{
    json_object *suppressed = sums_json(&view->groups.suppressed),
                *patterns = json_object_new_array();
    for (size_t i = 0; i < view->hidden->count; i++) {
        json_object *object = json_object_new_object();
        ADD("pattern", emit_json_text(view->hidden->patterns[i]));
        add_sums(object, &view->groups.by_pattern[i]);
        json_object_array_add(patterns, object);
    }
    json_object_object_add(suppressed, "patterns", patterns);
    return suppressed;
}

static json_object *peak_json(const struct view_leaks *view)
{
    const struct live *live = &view->leaks.live;
    json_object *object = json_object_new_object();
    ADD("bytes", emit_json_number(live->peak.bytes));
    ADD("blocks", emit_json_number(live->peak.blocks));
    ADD("at_ns", moment_json(view, live->peak_ticks));
    return object;
}

/* What was asked for, and how far the answer can be trusted. */
static void add_basis(json_object *object, const struct view_leaks *view)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    const struct view_leaks_query *query = &view->query;
    const struct leaks *leaks = &view->leaks;
    ADD("exact", json_object_new_boolean(view_leaks_exact(view)));
    ADD("complete", json_object_new_boolean(view->complete));
    ADD("lost", emit_json_count(view->missing));
    ADD("losses", view_lost_json(view->recording));
    ADD("mode", emit_json_text(view_mode_name(header->mode)));
    ADD("state", emit_json_text(view_state_name(view->recording)));
    ADD("at_ns", emit_json_count(view->now_ns));
    ADD("since_ns", query->since_ns ? emit_json_count(query->since_ns) : NULL);
    ADD("before_ns", query->before_ns == UINT64_MAX ? NULL : emit_json_count(query->before_ns));
    ADD("growth_from_ns", query->growth ? emit_json_count(query->from_ns) : NULL);
    ADD("thread", query->tid ? emit_json_count(query->tid) : NULL);
    ADD("logged", emit_json_count(leaks->live.logged));
    ADD("samples", emit_json_count(leaks->live.sampled));
    ADD("frees_unknown", emit_json_count(leaks->live.frees_unknown));
    ADD("ends_missed", emit_json_count(leaks->live.ends_missed));
    ADD("untracked_blocks", emit_json_count(leaks->live.untracked));
    ADD("damaged_chunks", emit_json_count(leaks->damaged));
}

void view_leaks_print_json(const struct view_leaks *view, FILE *out)
{
    json_object *object = json_object_new_object(), *rows = json_object_new_array();
    const struct leaks_sums *all = &view->groups.all;
    add_basis(object, view);
    ADD("live_bytes", emit_json_number(all->bytes.value));
    ADD("live_blocks", emit_json_number(all->blocks.value));
    ADD("live_bytes_stderr", emit_json_number(estimate_stderr(all->bytes)));
    ADD("live_blocks_stderr", emit_json_number(estimate_stderr(all->blocks)));
    ADD("peak", peak_json(view));
    ADD("runtime", sums_json(&view->groups.runtime));
    ADD("suppressed", suppressed_json(view));
    ADD("uncertain", sums_json(&view->leaks.uncertain));
    ADD("rows", emit_json_count(view->groups.count));
    for (size_t i = 0; i < view_leaks_shown(view); i++)
        json_object_array_add(rows, row_json(view, &view->groups.rows[i]));
    ADD("leaks", rows);
    ADD("notes", view_notes_json(view->symbols));
    emit_json_print(object, out);
}

/* Empty where there is none: of a path that only shrank. */
static void csv_moment(struct emit_csv *csv, const struct view_leaks *view, uint64_t ticks)
{
    if (ticks)
        emit_csv_count(csv, malloctap_recording_ns(view->recording, ticks));
    else
        emit_csv_text(csv, NULL);
}

void view_leaks_print_csv(const struct view_leaks *view, FILE *out)
{
    static const char *const titles[] = {"bytes",         "bytes_stderr", "blocks",
                                         "blocks_stderr", "first_ns",     "last_ns",
                                         "oldest_age_ns", "records",      "frames"};
    struct emit_csv csv = {out, false};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        emit_csv_text(&csv, titles[i]);
    emit_csv_end(&csv);
    for (size_t i = 0; i < view_leaks_shown(view); i++) {
        const struct leaks_row *row = &view->groups.rows[i];
        const struct leaks_sums *sums = &row->sums;
        emit_csv_number(&csv, sums->bytes.value);
        emit_csv_number(&csv, estimate_stderr(sums->bytes));
        emit_csv_number(&csv, sums->blocks.value);
        emit_csv_number(&csv, estimate_stderr(sums->blocks));
        csv_moment(&csv, view, sums->first_ticks);
        csv_moment(&csv, view, sums->last_ticks);
        if (sums->records)
            emit_csv_count(&csv, view_leaks_age_ns(view, sums));
        else
            emit_csv_text(&csv, NULL);
        emit_csv_count(&csv, sums->records);
        view_frames_csv(&view->groups.paths.items[row->path], &csv);
        emit_csv_end(&csv);
    }
}
