/* SPDX-License-Identifier: MIT */
/* compare_print.c - the result of a comparison as a table and sentences, JSON or CSV. */
#include "compare.h"

#include "verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *field;
    const char *heading;
    enum measure_unit unit;
} measure_rows[] = {
#define MEASURE(field, heading, unit) {#field, heading, UNIT_##unit},
#include "measures.def"
#undef MEASURE
};

static void item_verdict(const struct compare *compare, const struct compare_item *item,
                         struct verdict *ret)
{
    const struct compare_item *base = &compare->items[0];
    const struct verdict_sample first = {base->name, base->runs, base->count};
    const struct verdict_sample sample = {item->name, item->runs, item->count};
    verdict_reach(&first, item == base ? &first : &sample, ret);
}

/* ---- text ----------------------------------------------------------------------------------- */

static struct emit_text value_text(double value, enum measure_unit unit)
{
    struct emit_text ret = {"-"};
    if (isnan(value))
        return ret;
    if (unit == UNIT_NANOSECONDS)
        return emit_duration(value);
    return unit == UNIT_BYTES ? emit_size(value) : emit_count(value);
}

static void cell_value(struct emit_table *table, const struct verdict *verdict,
                       enum measure measure)
{
    emit_table_cell(table,
                    value_text(verdict->measures[measure].median, measure_rows[measure].unit).text);
}

static void cell_interval(struct emit_table *table, const struct verdict *verdict,
                          enum measure measure)
{
    const struct statistics_interval *interval = &verdict->measures[measure].interval;
    enum measure_unit unit = measure_rows[measure].unit;
    char text[2 * sizeof(struct emit_text) + 8] = "";
    if (!isnan(interval->low))
        snprintf(text, sizeof text, "%s .. %s", value_text(interval->low, unit).text,
                 value_text(interval->high, unit).text);
    emit_table_cell(table, text);
}

/* Against the first backend, which has none. A star: more than noise. */
static void cell_difference(struct emit_table *table, const struct verdict *verdict,
                            enum measure measure, bool is_first)
{
    const struct verdict_measure *row = &verdict->measures[measure];
    char text[32] = "";
    if (!is_first && isfinite(row->share))
        snprintf(text, sizeof text, "%+.1f %%%s", 100 * row->share, row->differs ? " *" : "  ");
    emit_table_cell(table, text);
}

static void table_print(const struct compare *compare, FILE *out)
{
    static const struct emit_column columns[] = {
        {"backend", true},    {"wall", false},    {"95 %", true},      {"", false},
        {"CPU", false},       {"", false},        {"peak RSS", false}, {"", false},
        {"in malloc", false}, {"waiting", false}, {"switches", false}, {"faults", false},
        {"runs", false},
    };
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < compare->backend_count; i++) {
        const struct compare_item *item = &compare->items[i];
        struct verdict verdict;
        item_verdict(compare, item, &verdict);
        emit_table_cell(table, item->name);
        cell_value(table, &verdict, MEASURE_wall_ns);
        cell_interval(table, &verdict, MEASURE_wall_ns);
        cell_difference(table, &verdict, MEASURE_wall_ns, i == 0);
        cell_value(table, &verdict, MEASURE_cpu_ns);
        cell_difference(table, &verdict, MEASURE_cpu_ns, i == 0);
        cell_value(table, &verdict, MEASURE_peak_rss_bytes);
        cell_difference(table, &verdict, MEASURE_peak_rss_bytes, i == 0);
        cell_value(table, &verdict, MEASURE_alloc_ns);
        cell_value(table, &verdict, MEASURE_wait_ns);
        cell_value(table, &verdict, MEASURE_voluntary_switches);
        cell_value(table, &verdict, MEASURE_minor_faults);
        emit_table_cell(table, emit_count((double)item->count).text);
    }
    emit_table_print(table, out);
    emit_table_destroy(table);
}

/* What the tap costs: the first backend tapped against the same without. */
static void tap_cost_print(const struct compare *compare, FILE *out)
{
    const struct compare_item *plain = compare_plain(compare), *first = &compare->items[0];
    struct verdict cost;
    if (!plain || !plain->count || !first->count) {
        fprintf(out, "The tap's own cost, the same for every backend, is not known: %s.\n",
                plain ? "no plain run counts" : "the first backend cannot run without it");
        return;
    }
    const struct verdict_sample untapped = {plain->name, plain->runs, plain->count};
    const struct verdict_sample tapped = {first->name, first->runs, first->count};
    verdict_reach(&untapped, &tapped, &cost);
    const struct verdict_measure *time = &cost.measures[MEASURE_wall_ns];
    const struct verdict_measure *memory = &cost.measures[MEASURE_peak_rss_bytes];
    double base = time->median - time->difference.difference;
    fprintf(out, "The tap's own cost, the same for every backend: %+.1f %% time",
            100 * time->share);
    if (!isnan(time->difference.interval.low))
        fprintf(out, " (%+.1f to %+.1f %%%s)", 100 * time->difference.interval.low / base,
                100 * time->difference.interval.high / base, time->differs ? "" : "; may be noise");
    fprintf(out, ", %s%s memory.\n", memory->difference.difference < 0 ? "-" : "+",
            emit_size(fabs(memory->difference.difference)).text);
}

static void failures_print(const struct compare *compare, FILE *out)
{
    for (size_t i = 0; i < compare->item_count; i++) {
        const struct compare_item *item = &compare->items[i];
        if (!item->failed)
            continue;
        emit_put(out, item->name);
        fprintf(out, ": %zu run%s failed and do%s not count: ", item->failed,
                item->failed == 1 ? "" : "s", item->failed == 1 ? "es" : "");
        emit_put(out, item->failure);
        fputc('\n', out);
    }
}

static void text_print(const struct compare *compare, FILE *out)
{
    fprintf(out, "%s in %zu interleaved round%s: medians; * differs from ",
            compare->plan.ready.kind == READY_NONE ? "Time to the end" : "Time until ready",
            compare->rounds_done, compare->rounds_done == 1 ? "" : "s");
    emit_put(out, compare->items[0].name);
    fputs(" by more than noise\n\n", out);
    table_print(compare, out);
    fputc('\n', out);
    for (size_t i = 1; i < compare->backend_count; i++) {
        struct verdict verdict;
        item_verdict(compare, &compare->items[i], &verdict);
        emit_put(out, verdict.text);
        fputc('\n', out);
    }
    tap_cost_print(compare, out);
    failures_print(compare, out);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_object *json_interval(const struct statistics_interval *interval)
{
    json_object *pair = json_object_new_array();
    json_object_array_add(pair, emit_json_number(interval->low));
    json_object_array_add(pair, emit_json_number(interval->high));
    return pair;
}

static json_object *json_item(const struct compare *compare, const struct compare_item *item)
{
    struct verdict verdict;
    item_verdict(compare, item, &verdict);
    json_object *object = json_object_new_object(), *runs = json_object_new_array();
    json_object *median = json_object_new_object(), *ci95 = json_object_new_object();
    for (size_t i = 0; i < item->count; i++) {
        json_object *run = json_object_new_object();
        for (int m = 0; m < MEASURES; m++)
            json_object_object_add(run, measure_rows[m].field,
                                   emit_json_number(item->runs[i].value[m]));
        json_object_array_add(runs, run);
    }
    for (int m = 0; m < MEASURES; m++) {
        json_object_object_add(median, measure_rows[m].field,
                               emit_json_number(verdict.measures[m].median));
        json_object_object_add(ci95, measure_rows[m].field,
                               json_interval(&verdict.measures[m].interval));
    }
    json_object_object_add(object, "name", emit_json_text(item->name));
    json_object_object_add(object, "runs", runs);
    json_object_object_add(object, "median", median);
    json_object_object_add(object, "ci95", ci95);
    json_object_object_add(object, "failed", emit_json_count(item->failed));
    json_object_object_add(object, "failure", emit_json_text(item->failed ? item->failure : NULL));
    return object;
}

static json_object *json_verdict(const struct compare *compare, const struct compare_item *item)
{
    struct verdict verdict;
    item_verdict(compare, item, &verdict);
    json_object *object = json_object_new_object();
    json_object_object_add(object, "name", emit_json_text(item->name));
    json_object_object_add(object, "against", emit_json_text(compare->items[0].name));
    for (int m = 0; m < MEASURES; m++) {
        const struct verdict_measure *row = &verdict.measures[m];
        json_object *measure = json_object_new_object();
        json_object_object_add(measure, "difference", emit_json_number(row->difference.difference));
        json_object_object_add(measure, "ci95", json_interval(&row->difference.interval));
        json_object_object_add(measure, "share", emit_json_number(row->share));
        json_object_object_add(measure, "p", emit_json_number(row->probability));
        json_object_object_add(measure, "differs", json_object_new_boolean(row->differs));
        json_object_object_add(object, measure_rows[m].field, measure);
    }
    json_object_object_add(object, "runs_needed", emit_json_count(verdict.runs_needed));
    json_object_object_add(object, "text", emit_json_text(verdict.text));
    return object;
}

static void json_print(const struct compare *compare, FILE *out)
{
    const struct compare_item *plain = compare_plain(compare);
    json_object *object = json_object_new_object();
    json_object *backends = json_object_new_array(), *verdicts = json_object_new_array();
    for (size_t i = 0; i < compare->backend_count; i++)
        json_object_array_add(backends, json_item(compare, &compare->items[i]));
    for (size_t i = 1; i < compare->backend_count; i++)
        json_object_array_add(verdicts, json_verdict(compare, &compare->items[i]));
    json_object_object_add(
        object, "until", emit_json_text(compare->plan.ready.kind == READY_NONE ? "end" : "ready"));
    json_object_object_add(object, "rounds", emit_json_count(compare->rounds_done));
    json_object_object_add(object, "backends", backends);
    json_object_object_add(object, "plain", plain ? json_item(compare, plain) : NULL);
    json_object_object_add(object, "verdict", verdicts);
    emit_json_print(object, out);
}

/* ---- CSV ------------------------------------------------------------------------------------ */

/* A row a backend and one for the plain runs; seven columns a measure. */
static void csv_heading(struct emit_csv *csv)
{
    static const char *const suffixes[] = {
        "", "_low", "_high", "_difference", "_difference_low", "_difference_high", "_p"};
    emit_csv_text(csv, "name");
    emit_csv_text(csv, "runs");
    emit_csv_text(csv, "failed");
    for (int m = 0; m < MEASURES; m++)
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
            char column[64];
            snprintf(column, sizeof column, "%s%s", measure_rows[m].field, suffixes[i]);
            emit_csv_text(csv, column);
        }
    emit_csv_end(csv);
}

static void csv_print(const struct compare *compare, FILE *out)
{
    struct emit_csv csv = {.out = out};
    csv_heading(&csv);
    for (size_t i = 0; i < compare->item_count; i++) {
        const struct compare_item *item = &compare->items[i];
        struct verdict verdict;
        item_verdict(compare, item, &verdict);
        emit_csv_text(&csv, item->name);
        emit_csv_count(&csv, item->count);
        emit_csv_count(&csv, item->failed);
        for (int m = 0; m < MEASURES; m++) {
            const struct verdict_measure *row = &verdict.measures[m];
            emit_csv_number(&csv, row->median);
            emit_csv_number(&csv, row->interval.low);
            emit_csv_number(&csv, row->interval.high);
            emit_csv_number(&csv, row->difference.difference);
            emit_csv_number(&csv, row->difference.interval.low);
            emit_csv_number(&csv, row->difference.interval.high);
            emit_csv_number(&csv, row->probability);
        }
        emit_csv_end(&csv);
    }
}

void compare_print(const struct compare *compare, enum emit_format format, FILE *out)
{
    switch (format) {
    case EMIT_TEXT:
        text_print(compare, out);
        break;
    case EMIT_JSON:
        json_print(compare, out);
        break;
    case EMIT_CSV:
        csv_print(compare, out);
        break;
    }
}
