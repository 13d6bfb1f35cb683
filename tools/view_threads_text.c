/* SPDX-License-Identifier: MIT */
/* view_threads_text.c - threads and latencies for people. */
#include "view_counters.h"
#include "view_threads.h"

#include <inttypes.h>
#include <math.h>

/* ---- counters -------------------------------------------------------------------------------- */

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

/* The cells that say whose row it is; tid 0: of no thread in particular. */
static void name_cells(struct emit_table *table, uint32_t tid, const char *name)
{
    char text[16] = "";
    if (tid)
        snprintf(text, sizeof text, "%" PRIu32, tid);
    emit_table_cell(table, text);
    emit_table_cell(table, name);
}

static void sum_row(struct emit_table *table, const char *name,
                    const struct malloctap_counters *counters)
{
    name_cells(table, 0, name);
    counter_cells(table, counters);
    emit_table_cell(table, "");
    emit_table_cell(table, "");
}

static void print_counters(const struct view_threads *view, FILE *out)
{
    static const struct emit_column columns[] = {
        {"tid"},
#define X(name, value) {#name},
        {"name", .left = true},
        VIEW_COUNTERS(X)
#undef X
            {"lifetime"},
        {"calls/s"},
    };
    const struct malloctap_counters *unslotted =
        &malloctap_recording_header(view->recording)->unslotted;
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < view->count; i++) {
        const struct view_thread *thread = &view->rows[i];
        name_cells(table, thread->slot.tid, thread->slot.name);
        counter_cells(table, &thread->slot.counters);
        emit_table_cell(table, emit_duration((double)thread->lifetime_ns).text);
        emit_table_cell(table,
                        thread->lifetime_ns ? emit_count(view_thread_rate(thread)).text : "");
    }
    if (view->exited)
        sum_row(table, view_exited_name(view).text, &view->exited_counters);
    if (view_calls(unslotted))
        sum_row(table, VIEW_UNSLOTTED_NAME, unslotted);
    sum_row(table, "total", &view->totals);
    emit_table_print(table, out);
    emit_table_destroy(table);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void most_cell(struct emit_table *table, struct emit_text most)
{
    char text[sizeof most.text + 16];
    snprintf(text, sizeof text, "at most %s", most.text);
    emit_table_cell(table, text);
}

/* A time and its share of the thread's life. An estimate from few long calls may come out at more
 * than is possible: then the limit is all that is known. `most_ns` 0: there is none. */
static void time_cells(struct emit_table *table, struct estimate ns, bool known,
                       uint64_t lifetime_ns, uint64_t most_ns)
{
    struct estimate share = view_share(ns, known, lifetime_ns);
    if (known && most_ns && ns.value > (double)most_ns) {
        most_cell(table, emit_duration((double)most_ns));
        most_cell(table, emit_percent((double)most_ns / (double)lifetime_ns));
        return;
    }
    emit_table_cell(table, known ? view_estimate(ns, emit_duration).text : "-");
    emit_table_cell(table, isnan(share.value) ? "" : view_estimate(share, emit_percent).text);
}

/* `thread` NULL: of several. */
static void cost_row(struct emit_table *table, uint32_t tid, const char *name,
                     const struct view_cost *cost, const struct view_thread *thread)
{
    uint64_t lifetime_ns = thread ? thread->lifetime_ns : 0;
    name_cells(table, tid, name);
    emit_table_cell(table, emit_count((double)cost->samples).text);
    time_cells(table, cost->time_ns, cost->samples, lifetime_ns, lifetime_ns);
    time_cells(table, cost->wait_ns, cost->classed, lifetime_ns, thread ? thread->off_ns : 0);
}

static void print_costs(const struct view_threads *view, FILE *out)
{
    static const struct emit_column columns[] = {
        {"tid"},     {"name", .left = true}, {"probed"}, {"inside"}, {"of lifetime"},
        {"waiting"}, {"of lifetime"},
    };
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    fputs("\nTime inside the allocator and, of this, waiting; estimates from probed calls ± one "
          "standard error:\n\n",
          out);
    for (size_t i = 0; i < view->count; i++) {
        const struct view_thread *thread = &view->rows[i];
        cost_row(table, thread->slot.tid, thread->slot.name, &thread->cost, thread);
    }
    if (view->exited)
        cost_row(table, 0, view_exited_name(view).text, &view->exited_cost, NULL);
    cost_row(table, 0, "total", &view->total_cost, NULL);
    emit_table_print(table, out);
    emit_table_destroy(table);
    view_threads_print_probed(view, "", out);
    if (!view->total_cost.classed)
        fputs(
            "Whether calls waited is not known: the tap makes no system calls in a program that may\n"
            "forbid them.\n",
            out);
}

void view_threads_print_probed(const struct view_threads *view, const char *indent, FILE *out)
{
    if (!isnan(view->probed_share))
        fprintf(
            out,
            "%sNOT COMPLETE: what is recorded was switched meanwhile; calls that could be probed "
            "are %s of all.\n",
            indent, emit_percent(view->probed_share).text);
}

/* ---- latencies ------------------------------------------------------------------------------- */

static struct emit_text quantile_text(const struct latency_op *calls,
                                      enum latency_quantile quantile)
{
    struct emit_text text = {"-"};
    if (calls->trust[quantile] != LATENCY_UNKNOWN)
        snprintf(text.text, sizeof text.text, "%s%.40s",
                 calls->trust[quantile] == LATENCY_ROUGH ? "~" : "",
                 emit_duration(calls->quantile_ns[quantile]).text);
    return text;
}

static double calls_share(const struct latency_op *calls, enum malloctap_probe class)
{
    double all = 0;
    for (int i = 0; i < MALLOCTAP_PROBES; i++)
        all += calls->calls[i];
    return all > 0 ? calls->calls[class] / all : 0;
}

static void print_latencies(const struct view_threads *view, FILE *out)
{
    static const struct emit_column columns[] = {
        {"call", .left = true},
        {"calls"},
        {"probed"},
        {"p50"},
        {"p90"},
        {"p99"},
        {"p99.9"},
        {"longest"},
        {"faulting"},
        {"waiting"},
    };
    const struct view_cost *cost = view->only ? &view->only->cost : &view->total_cost;
    const struct malloctap_counters *counters =
        view->only ? &view->only->slot.counters : &view->totals;
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    fputs("\nHow long calls took", out);
    if (view->only)
        fprintf(out, " in thread %" PRIu32, view->only->slot.tid);
    fputs(", and how many of them faulted or waited:\n\n", out);
    for (enum malloctap_op op = 0; op < MALLOCTAP_OPS; op++) {
        const struct latency_op *calls = &cost->ops[op];
        if (!calls->samples)
            continue;
        emit_table_cell(table, view_op_name(op));
        emit_table_cell(table, emit_count((double)malloctap_counters_calls(counters, op)).text);
        emit_table_cell(table, emit_count((double)calls->samples).text);
        for (enum latency_quantile i = 0; i < LATENCY_QUANTILES_SHOWN; i++)
            emit_table_cell(table, quantile_text(calls, i).text);
        emit_table_cell(table, emit_duration((double)calls->max_ns).text);
        for (enum malloctap_probe class = MALLOCTAP_PROBE_FAULTING;
             class <= MALLOCTAP_PROBE_BLOCKED; class ++)
            emit_table_cell(
                table, latency_classed(calls) ? emit_percent(calls_share(calls, class)).text : "-");
    }
    emit_table_print(table, out);
    emit_table_destroy(table);
    fputs(
        "Estimated from the probed calls: ~ where fewer than ten of them took longer, - where that\n"
        "is too few to tell. Calls that lost the processor meanwhile are left out.\n",
        out);
}

void view_threads_print_text(const struct view_threads *view, FILE *out)
{
    fputs("Calls by thread, exact.\nLost: ", out);
    view_lost_text(view->recording, out);
    fputs(".\n\n", out);
    print_counters(view, out);
    if (view->total_cost.samples) {
        print_costs(view, out);
        print_latencies(view, out);
    }
    view_locks_print_lists(&view->locks, out);
}
