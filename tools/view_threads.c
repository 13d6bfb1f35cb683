/* SPDX-License-Identifier: MIT */
#include "view_threads.h"

#include "analyze_memory.h"
#include "view_counters.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static int compare_threads(const void *left, const void *right)
{
    const struct view_thread *a = left, *b = right;
    if (a->calls != b->calls)
        return a->calls > b->calls ? -1 : 1;
    return (a->slot.thread > b->slot.thread) - (a->slot.thread < b->slot.thread);
}

static struct view_thread read_thread(const struct view_threads *view,
                                      const struct malloctap_thread_slot *slot)
{
    uint64_t birth = malloctap_recording_ns(view->recording, slot->birth_ticks);
    uint64_t end = slot->death_ticks ? malloctap_recording_ns(view->recording, slot->death_ticks)
                                     : malloctap_recording_duration_ns(view->recording);
    const struct aggregate_sums *sampled = aggregate_thread(&view->aggregate, slot->thread);
    return (struct view_thread){
        .slot = *slot,
        .calls = view_calls(&slot->counters),
        .lifetime_ns = end > birth ? end - birth : 0,
        .sampled = sampled ? *sampled : (struct aggregate_sums){0},
    };
}

int view_threads_create(struct malloctap_recording *recording, struct view_threads *ret,
                        struct malloctap_error *error)
{
    struct aggregate_query all = {.ops = AGGREGATE_OPS_ALLOC | AGGREGATE_OPS_FREE};
    struct malloctap_thread_slot slot;
    size_t capacity = 0;
    *ret = (struct view_threads){.recording = recording};
    if (aggregate_read(recording, all, &ret->aggregate, error) < 0)
        return -1;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);) {
        ret->rows = memory_grow(ret->rows, ret->count, &capacity, sizeof *ret->rows);
        ret->rows[ret->count++] = read_thread(ret, &slot);
    }
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof *ret->rows, compare_threads);
    ret->exited = malloctap_recording_exited(recording, &ret->exited_counters);
    malloctap_recording_totals(recording, &ret->totals);
    return 0;
}

void view_threads_destroy(struct view_threads *view)
{
    free(view->rows);
    aggregate_deinit(&view->aggregate);
}

static double rate(const struct view_thread *thread)
{
    return thread->lifetime_ns ? (double)thread->calls * 1e9 / (double)thread->lifetime_ns : NAN;
}

/* ---- text -------------------------------------------------------------------------------------
 */

static const struct emit_column columns[] = {
    {"tid"},
#define X(name, value) {#name},
    {"name", .left = true},
    VIEW_COUNTERS(X)
#undef X
        {"lifetime"},
    {"calls/s"},
    {"inside"},
    {"waiting"},
};
enum { COLUMNS = sizeof columns / sizeof *columns, COLUMNS_TIMED = 2 };

static void counter_cells(struct emit_table *table, const struct malloctap_counters *counters)
{
    struct emit_text values[] = {
#define X(name, value) emit_count((double)(value)),
        VIEW_COUNTERS(X)
#undef X
    };
    size_t count = sizeof values / sizeof *values;
    values[count - 1] = emit_size((double)view_bytes(counters));
    for (size_t i = 0; i < count; i++)
        emit_table_cell(table, values[i].text);
}

/* A row of counters that belong to no thread in particular. */
static void sum_row(struct emit_table *table, const char *name,
                    const struct malloctap_counters *counters, bool timed)
{
    emit_table_cell(table, "");
    emit_table_cell(table, name);
    counter_cells(table, counters);
    for (int i = 0; i < 2 + (timed ? COLUMNS_TIMED : 0); i++)
        emit_table_cell(table, "");
}

static void thread_row(struct emit_table *table, const struct view_thread *thread, bool timed)
{
    char tid[16];
    snprintf(tid, sizeof tid, "%" PRIu32, thread->slot.tid);
    emit_table_cell(table, tid);
    emit_table_cell(table, thread->slot.name);
    counter_cells(table, &thread->slot.counters);
    emit_table_cell(table, emit_duration((double)thread->lifetime_ns).text);
    emit_table_cell(table, thread->lifetime_ns ? emit_count(rate(thread)).text : "");
    if (!timed)
        return;
    emit_table_cell(table, emit_duration(thread->sampled.time_ns.value).text);
    emit_table_cell(table, emit_duration(thread->sampled.wait_ns.value).text);
}

static void print_text(const struct view_threads *view, FILE *out)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    bool timed = view->aggregate.probed;
    char name[64];
    fprintf(out, "Calls by thread, exact%s.\nLost: ",
            timed ? "; time inside the allocator and waiting estimated" : "");
    view_lost_text(view->recording, out);
    fputs(".\n\n", out);
    struct emit_table *table =
        emit_table_create(columns, timed ? COLUMNS : COLUMNS - COLUMNS_TIMED);
    for (size_t i = 0; i < view->count; i++)
        thread_row(table, &view->rows[i], timed);
    if (view->exited) {
        snprintf(name, sizeof name, "(%" PRIu64 " more, exited)", view->exited);
        sum_row(table, name, &view->exited_counters, timed);
    }
    if (view_calls(&header->unslotted))
        sum_row(table, "(without a slot)", &header->unslotted, timed);
    sum_row(table, "total", &view->totals, timed);
    emit_table_print(table, out);
    emit_table_destroy(table);
}

/* ---- JSON and CSV -----------------------------------------------------------------------------
 */

static void add_estimate(json_object *object, const char *name, const char *error_name,
                         struct estimate estimate, bool known)
{
    json_object_object_add(object, name, emit_json_number(known ? estimate.value : NAN));
    json_object_object_add(object, error_name,
                           emit_json_number(known ? estimate_stderr(estimate) : NAN));
}

static json_object *thread_json(const struct view_thread *thread, bool timed)
{
    const struct malloctap_thread_slot *slot = &thread->slot;
    json_object *object = json_object_new_object();
    json_object_object_add(object, "tid", emit_json_count(slot->tid));
    json_object_object_add(object, "name", emit_json_text(slot->name));
    view_counters_add(object, &slot->counters);
    add_estimate(object, "time_ns", "time_ns_stderr", thread->sampled.time_ns, timed);
    add_estimate(object, "wait_ns", "wait_ns_stderr", thread->sampled.wait_ns, timed);
    json_object_object_add(object, "lifetime_ns", emit_json_count(thread->lifetime_ns));
    json_object_object_add(object, "calls_per_second", emit_json_number(rate(thread)));
    json_object_object_add(object, "exited",
                           json_object_new_boolean(slot->state == MALLOCTAP_THREAD_EXITED));
    json_object_object_add(object, "samples", emit_json_count(slot->counters.samples));
    return object;
}

static json_object *sum_json(const struct malloctap_counters *counters, uint64_t threads)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "threads", emit_json_count(threads));
    view_counters_add(object, counters);
    return object;
}

static void print_json(const struct view_threads *view, FILE *out)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    json_object *object = json_object_new_object(), *threads = json_object_new_array();
    for (size_t i = 0; i < view->count; i++)
        json_object_array_add(threads, thread_json(&view->rows[i], view->aggregate.probed));
    json_object_object_add(object, "totals", sum_json(&view->totals, view->count + view->exited));
    json_object_object_add(object, "threads", threads);
    json_object_object_add(object, "exited", sum_json(&view->exited_counters, view->exited));
    json_object_object_add(object, "unslotted",
                           sum_json(&header->unslotted, header->lost.threads_no_space));
    json_object_object_add(object, "lost", view_lost_json(view->recording));
    json_object_object_add(object, "damaged_chunks", emit_json_count(view->aggregate.damaged));
    emit_json_print(object, out);
}

static void print_csv(const struct view_threads *view, FILE *out)
{
    struct emit_csv csv = {out, false};
    bool timed = view->aggregate.probed;
    emit_csv_text(&csv, "tid");
    emit_csv_text(&csv, "name");
#define X(name, value) emit_csv_text(&csv, #name);
    VIEW_COUNTERS(X)
#undef X
    emit_csv_text(&csv, "time_ns");
    emit_csv_text(&csv, "wait_ns");
    emit_csv_text(&csv, "lifetime_ns");
    emit_csv_end(&csv);
    for (size_t i = 0; i < view->count; i++) {
        const struct view_thread *thread = &view->rows[i];
        const struct malloctap_counters *counters = &thread->slot.counters;
        emit_csv_count(&csv, thread->slot.tid);
        emit_csv_text(&csv, thread->slot.name);
#define X(name, value) emit_csv_count(&csv, value);
        VIEW_COUNTERS(X)
#undef X
        emit_csv_number(&csv, timed ? thread->sampled.time_ns.value : NAN);
        emit_csv_number(&csv, timed ? thread->sampled.wait_ns.value : NAN);
        emit_csv_count(&csv, thread->lifetime_ns);
        emit_csv_end(&csv);
    }
}

void view_threads_print(const struct view_threads *view, enum emit_format format, FILE *out)
{
    switch (format) {
    case EMIT_TEXT:
        print_text(view, out);
        break;
    case EMIT_JSON:
        print_json(view, out);
        break;
    case EMIT_CSV:
        print_csv(view, out);
        break;
    }
}
