/* SPDX-License-Identifier: MIT */
/* view_summary_data.c - the summary for programs. */
#include "view_counters.h"
#include "view_frames.h"
#include "view_summary_facts.h"

#include <math.h>

static json_object *totals_json(const struct summary *summary)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "calls", emit_json_count(view_calls(&summary->threads.totals)));
    view_counters_add(object, &summary->threads.totals);
    json_object_object_add(object, "samples", emit_json_count(summary->threads.totals.samples));
    return object;
}

/* A row per size class that was asked for: its bounds, and the calls of each operation. */
static json_object *sizes_json(const struct summary *summary)
{
    const struct malloctap_counters *totals = &summary->threads.totals;
    json_object *array = json_object_new_array();
    for (int class = 0; class < MALLOCTAP_SIZE_CLASSES; class ++) {
        uint64_t calls = 0;
        for (int op = 0; op < MALLOCTAP_OPS_ALLOC; op++)
            calls += totals->calls[op][class];
        if (!calls)
            continue;
        json_object *row = json_object_new_object();
        uint64_t from = class ? UINT64_C(1) << (class - 1) : 0;
        json_object_object_add(row, "from", emit_json_count(from));
        json_object_object_add(row, "to", emit_json_count(class ? from + (from - 1) : 0));
#define X(NAME, name)                                                                              \
    json_object_object_add(row, #name, emit_json_count(totals->calls[MALLOCTAP_OP_##NAME][class]));
        MALLOCTAP_ALLOC_OPS(X)
#undef X
        json_object_array_add(array, row);
    }
    return array;
}

/* Shares are of the threads' time, low and high the ends of the 95 % interval. */
static void add_waiting(json_object *object, const struct summary *summary)
{
    const struct waited *share = &summary->waited_share, *ns = &summary->waited_ns;
    const struct ranking_row *function = summary->wait_function;
#define ADD(name, value) json_object_object_add(object, name, value)
    ADD("off_share_max", emit_json_share(summary->off_share < 1 ? summary->off_share : NAN));
    ADD("wait_share", emit_json_share(share->estimate));
    ADD("wait_share_stderr", emit_json_share(estimate_stderr(summary->wait_share)));
    ADD("wait_share_low", emit_json_share(share->low));
    ADD("wait_share_high", emit_json_share(share->high));
    ADD("wait_ns", emit_json_number(ns->estimate));
    ADD("wait_ns_low", emit_json_number(ns->low));
    ADD("wait_ns_high", emit_json_number(ns->high));
    ADD("wait_function", function ? emit_json_text(function->function.function) : NULL);
    ADD("wait_function_share",
        function ? emit_json_share(view_stacks_share(&summary->cost, function)) : NULL);
#undef ADD
}

/* What happened to calls in the allocator; null where it is not known. */
static json_object *classes_json(const struct summary *summary)
{
    static const char *const names[MALLOCTAP_PROBES] = {
        [MALLOCTAP_PROBE_FAST] = "fast",           [MALLOCTAP_PROBE_FAULTING] = "faulting",
        [MALLOCTAP_PROBE_BLOCKED] = "blocked",     [MALLOCTAP_PROBE_PREEMPTED] = "preempted",
        [MALLOCTAP_PROBE_UNCLASSED] = "unclassed",
    };
    if (!summary->has_cost)
        return NULL;
    json_object *object = json_object_new_object();
    for (int i = MALLOCTAP_PROBE_NONE + 1; i < MALLOCTAP_PROBES; i++) {
        const struct aggregate_class *class = &summary->cost.aggregate.classes[i];
        json_object *row = json_object_new_object();
        bool timed = i != MALLOCTAP_PROBE_PREEMPTED;
        double error = estimate_stderr(class->time_ns);
        json_object_object_add(row, "samples", emit_json_count(class->samples));
        json_object_object_add(row, "calls", emit_json_number(class->calls.value));
        json_object_object_add(row, "calls_stderr",
                               emit_json_number(estimate_stderr(class->calls)));
        json_object_object_add(row, "time_ns",
                               emit_json_number(timed ? class->time_ns.value : NAN));
        json_object_object_add(row, "time_ns_stderr", emit_json_number(timed ? error : NAN));
        json_object_object_add(object, names[i], row);
    }
    return object;
}

static json_object *footprint_json(const struct footprint *footprint)
{
    if (!footprint->rss_bytes)
        return NULL;
    json_object *object = json_object_new_object();
    double requested = footprint->requested.value, rss = (double)footprint->rss_bytes;
    double rounding = footprint->rounding_known ? footprint->rounding.value : NAN;
    double rounding_error = estimate_stderr(footprint->rounding);
#define ADD(name, value) json_object_object_add(object, name, value)
    ADD("at_ns", emit_json_count(footprint->at_ns));
    ADD("rss_bytes", emit_json_count(footprint->rss_bytes));
    ADD("requested_bytes", emit_json_number(requested));
    ADD("requested_bytes_stderr", emit_json_number(estimate_stderr(footprint->requested)));
    ADD("rounding_bytes", emit_json_number(rounding));
    ADD("rounding_bytes_stderr",
        emit_json_number(footprint->rounding_known ? rounding_error : NAN));
    ADD("rest_bytes", emit_json_number(rss - requested - rounding));
#undef ADD
    return object;
}

static json_object *memory_json(const struct summary *summary)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "peak", footprint_json(&summary->memory.peak));
    json_object_object_add(object, "end", footprint_json(&summary->memory.end));
    return object;
}

static json_object *summary_json(const struct summary *summary)
{
    const struct malloctap_header *header = summary->header;
    json_object *object = json_object_new_object();
    uint64_t rss = header->peak_rss_bytes;
#define ADD(name, value) json_object_object_add(object, name, value)
    ADD("program", emit_json_text(path_basename(header->executable)));
    ADD("executable", emit_json_text(header->executable));
    ADD("command_line", emit_json_text(header->command_line));
    ADD("pid", emit_json_count(header->pid));
    ADD("parent_pid", emit_json_count(header->parent_pid));
    ADD("backend", emit_json_text(header->backend));
    ADD("backend_object", emit_json_text(header->backend_object));
    ADD("mode", emit_json_text(view_mode_name(header->mode)));
    ADD("options", emit_json_text(header->options));
    ADD("state", emit_json_text(view_state_name(summary->recording)));
    ADD("recording", emit_json_text(malloctap_recording_path(summary->recording)));
    ADD("start_realtime_ns", emit_json_count(header->start_realtime_ns));
    ADD("duration_ns", emit_json_count(summary->duration_ns));
    ADD("calls_per_second", emit_json_number(summary->calls_per_second));
    ADD("threads", emit_json_count(summary->threads.count + summary->threads.exited));
    ADD("totals", totals_json(summary));
    ADD("lost", view_lost_json(summary->recording));
    ADD("peak_rss_bytes", rss ? emit_json_count(rss) : NULL);
    ADD("rss_bytes", header->rss_bytes ? emit_json_count(header->rss_bytes) : NULL);
    ADD("allocator_share", emit_json_share(view_at_most_all(summary->allocator_share).value));
    ADD("allocator_share_stderr", emit_json_share(estimate_stderr(summary->allocator_share)));
    ADD("probed_share", emit_json_share(summary->threads.probed_share));
    add_waiting(object, summary);
    ADD("classes", classes_json(summary));
    ADD("memory", memory_json(summary));
    ADD("damaged_chunks", emit_json_count(summary->hottest.aggregate.damaged));
    ADD("sizes", sizes_json(summary));
    ADD("locks", view_locks_kinds_json(&summary->locks));
    ADD("allocator_memory", view_locks_memory_json(&summary->locks));
    ADD("hottest", summary->has_hottest ? view_stacks_rows_json(&summary->hottest) : NULL);
    ADD("notes",
        summary->has_hottest ? view_notes_json(summary->hottest.symbols) : json_object_new_array());
#undef ADD
    return object;
}

void summary_print_json(const struct summary *summary, FILE *out)
{
    emit_json_print(summary_json(summary), out);
}

/* The same figures as a key and a value a line, with dots for what is inside of something; lists
 * have no place in it. */
static void csv_rows(struct emit_csv *csv, const char *prefix, json_object *object)
{
    json_object_object_foreach(object, key, value)
    {
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_object_is_type(value, json_type_object)) {
            csv_rows(csv, name, value);
        } else if (!json_object_is_type(value, json_type_array)) {
            emit_csv_text(csv, name);
            emit_csv_text(csv, value ? json_object_get_string(value) : NULL);
            emit_csv_end(csv);
        }
    }
}

void summary_print_csv(const struct summary *summary, FILE *out)
{
    struct emit_csv csv = {out, false};
    json_object *object = summary_json(summary);
    emit_csv_text(&csv, "name");
    emit_csv_text(&csv, "value");
    emit_csv_end(&csv);
    csv_rows(&csv, "", object);
    json_object_put(object);
}
