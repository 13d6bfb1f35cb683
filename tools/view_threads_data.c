/* SPDX-License-Identifier: MIT */
/* view_threads_data.c - threads and latencies for programs. */
#include "view_counters.h"
#include "view_threads.h"

#include <math.h>

/* Classes of calls: the field's name, and the class. */
#define CLASSES(X)                                                                                 \
    X(fast, FAST)                                                                                  \
    X(faulting, FAULTING)                                                                          \
    X(blocked, BLOCKED)                                                                            \
    X(preempted, PREEMPTED)                                                                        \
    X(unclassed, UNCLASSED)

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_number(json_object *object, const char *name, struct estimate estimate, bool known)
{
    char error_name[64];
    snprintf(error_name, sizeof error_name, "%s_stderr", name);
    json_object_object_add(object, name, emit_json_number(known ? estimate.value : NAN));
    json_object_object_add(object, error_name,
                           emit_json_number(known ? estimate_stderr(estimate) : NAN));
}

static void add_share(json_object *object, const char *name, struct estimate share)
{
    char error_name[64];
    snprintf(error_name, sizeof error_name, "%s_stderr", name);
    json_object_object_add(object, name, emit_json_share(view_at_most_all(share).value));
    json_object_object_add(object, error_name, emit_json_share(estimate_stderr(share)));
}

static json_object *latency_json(const struct latency_op *calls)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "samples", emit_json_count(calls->samples));
#define X(name, share)                                                                             \
    json_object_object_add(object, #name "_ns",                                                    \
                           emit_json_number(calls->quantile_ns[LATENCY_##name]));
    LATENCY_QUANTILES(X)
#undef X
    json_object_object_add(object, "max_ns", emit_json_count(calls->max_ns));
    add_number(object, "time_ns", calls->time_ns, true);
    add_number(object, "wait_ns", calls->wait_ns, latency_classed(calls));
#define X(name, NAME)                                                                              \
    json_object_object_add(object, #name, emit_json_number(calls->calls[MALLOCTAP_PROBE_##NAME]));
    CLASSES(X)
#undef X
    return object;
}

static void add_cost(json_object *object, const struct view_cost *cost)
{
    json_object *latency = json_object_new_object();
    add_number(object, "time_ns", cost->time_ns, cost->samples);
    add_number(object, "wait_ns", cost->wait_ns, cost->classed);
    json_object_object_add(object, "probed", emit_json_count(cost->samples));
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++)
        if (cost->ops[op].samples)
            json_object_object_add(latency, view_op_name(op), latency_json(&cost->ops[op]));
    json_object_object_add(object, "latency", latency);
}

static json_object *thread_json(const struct view_thread *thread)
{
    const struct malloctap_thread_slot *slot = &thread->slot;
    const struct view_cost *cost = &thread->cost;
    json_object *object = json_object_new_object();
    json_object_object_add(object, "tid", emit_json_count(slot->tid));
    json_object_object_add(object, "name", emit_json_text(slot->name));
    view_counters_add(object, &slot->counters);
    add_cost(object, cost);
    add_share(object, "allocator_share",
              view_share(cost->time_ns, cost->samples, thread->lifetime_ns));
    add_share(object, "wait_share", view_share(cost->wait_ns, cost->classed, thread->lifetime_ns));
    json_object_object_add(object, "lifetime_ns", emit_json_count(thread->lifetime_ns));
    json_object_object_add(object, "calls_per_second", emit_json_number(view_thread_rate(thread)));
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

void view_threads_print_json(const struct view_threads *view, FILE *out)
{
    const struct malloctap_header *header = malloctap_recording_header(view->recording);
    json_object *object = json_object_new_object(), *threads = json_object_new_array();
    json_object *totals = sum_json(&view->totals, view->count + view->exited);
    json_object *exited = sum_json(&view->exited_counters, view->exited);
    add_cost(totals, &view->total_cost);
    json_object_object_add(totals, "probed_share", emit_json_share(view->probed_share));
    add_cost(exited, &view->exited_cost);
    for (size_t i = 0; i < view->count; i++)
        json_object_array_add(threads, thread_json(&view->rows[i]));
    json_object_object_add(object, "totals", totals);
    json_object_object_add(object, "threads", threads);
    json_object_object_add(object, "exited", exited);
    json_object_object_add(object, "unslotted",
                           sum_json(&header->unslotted, header->lost.threads_no_space));
    json_object_object_add(object, "locks", view_locks_lists_json(&view->locks));
    json_object_object_add(object, "lost", view_lost_json(view->recording));
    emit_json_print(object, out);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void csv_titles(struct emit_csv *csv)
{
    emit_csv_text(csv, "tid");
    emit_csv_text(csv, "name");
#define X(name, value) emit_csv_text(csv, #name);
    VIEW_COUNTERS(X)
#undef X
    emit_csv_text(csv, "time_ns");
    emit_csv_text(csv, "time_ns_stderr");
    emit_csv_text(csv, "wait_ns");
    emit_csv_text(csv, "wait_ns_stderr");
    emit_csv_text(csv, "lifetime_ns");
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++) {
        static const char *const fields[] = {"samples",
#define X(name, share) #name "_ns",
                                             LATENCY_QUANTILES(X)
#undef X
                                                 "max_ns"};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            char title[64];
            snprintf(title, sizeof title, "%s_%s", view_op_name(op), fields[i]);
            emit_csv_text(csv, title);
        }
    }
    emit_csv_end(csv);
}

static void csv_estimate(struct emit_csv *csv, struct estimate estimate, bool known)
{
    emit_csv_number(csv, known ? estimate.value : NAN);
    emit_csv_number(csv, known ? estimate_stderr(estimate) : NAN);
}

/* NaN: of no thread in particular, so that it has neither number nor lifetime. */
static void csv_row(struct emit_csv *csv, double tid, const char *name,
                    const struct malloctap_counters *counters, const struct view_cost *cost,
                    double lifetime_ns)
{
    emit_csv_number(csv, tid);
    emit_csv_text(csv, name);
#define X(name, value) emit_csv_count(csv, value);
    VIEW_COUNTERS(X)
#undef X
    csv_estimate(csv, cost->time_ns, cost->samples);
    csv_estimate(csv, cost->wait_ns, cost->classed);
    emit_csv_number(csv, lifetime_ns);
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++) {
        const struct latency_op *calls = &cost->ops[op];
        emit_csv_count(csv, calls->samples);
        for (int q = 0; q < LATENCY_QUANTILES_SHOWN; q++)
            emit_csv_number(csv, calls->quantile_ns[q]);
        emit_csv_number(csv, calls->samples ? (double)calls->max_ns : NAN);
    }
    emit_csv_end(csv);
}

void view_threads_print_csv(const struct view_threads *view, FILE *out)
{
    struct emit_csv csv = {out, false};
    const struct malloctap_counters *unslotted =
        &malloctap_recording_header(view->recording)->unslotted;
    static const struct view_cost not_probed;
    csv_titles(&csv);
    for (size_t i = 0; i < view->count; i++) {
        const struct view_thread *thread = &view->rows[i];
        csv_row(&csv, thread->slot.tid, thread->slot.name, &thread->slot.counters, &thread->cost,
                (double)thread->lifetime_ns);
    }
    if (view->exited)
        csv_row(&csv, NAN, view_exited_name(view).text, &view->exited_counters, &view->exited_cost,
                NAN);
    if (view_calls(unslotted))
        csv_row(&csv, NAN, VIEW_UNSLOTTED_NAME, unslotted, &not_probed, NAN);
}
