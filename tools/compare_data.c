/* SPDX-License-Identifier: MIT */
/* compare_data.c - the result of a comparison as JSON and CSV. */
#include "compare.h"

#include "verdict_words.h"

#include <math.h>

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_object *json_value(double value, int measure)
{
    return measure_rows[measure].unit == UNIT_SHARE ? emit_json_share(value)
                                                    : emit_json_number(value);
}

static json_object *json_interval(const struct statistics_interval *interval, int measure)
{
    json_object *pair = json_object_new_array();
    json_object_array_add(pair, json_value(interval->low, measure));
    json_object_array_add(pair, json_value(interval->high, measure));
    return pair;
}

/* Those that count. */
static json_object *json_runs(const struct compare *compare, const struct compare_item *item)
{
    json_object *runs = json_object_new_array();
    for (size_t i = 0; i < compare->rounds; i++) {
        if (isnan(item->rounds[i].value[MEASURE_wall_ns]))
            continue;
        json_object *run = json_object_new_object();
        json_object_object_add(run, "round", emit_json_count(i + 1));
        for (int m = 0; m < MEASURES; m++)
            json_object_object_add(run, measure_rows[m].field,
                                   json_value(item->rounds[i].value[m], m));
        json_object_array_add(runs, run);
    }
    return runs;
}

static json_object *json_failures(const struct compare_item *item)
{
    json_object *failures = json_object_new_array();
    for (size_t i = 0; i < item->failure_count; i++) {
        json_object *failure = json_object_new_object();
        json_object_object_add(failure, "round", emit_json_count(item->failures[i].round));
        json_object_object_add(failure, "why", emit_json_text(item->failures[i].why));
        json_object_array_add(failures, failure);
    }
    return failures;
}

static json_object *json_item(const struct compare *compare, const struct compare_item *item,
                              const struct verdict *verdict)
{
    json_object *object = json_object_new_object();
    json_object *median = json_object_new_object(), *ci95 = json_object_new_object();
    for (int m = 0; m < MEASURES; m++) {
        json_object_object_add(median, measure_rows[m].field,
                               json_value(verdict->measures[m].median, m));
        json_object_object_add(ci95, measure_rows[m].field,
                               json_interval(&verdict->measures[m].interval, m));
    }
    json_object_object_add(object, "name", emit_json_text(item->name));
    json_object_object_add(object, "runs", json_runs(compare, item));
    json_object_object_add(object, "median", median);
    json_object_object_add(object, "ci95", ci95);
    json_object_object_add(object, "failures", json_failures(item));
    return object;
}

static json_object *json_verdict(const struct verdict *verdict)
{
    char text[1024];
    json_object *object = json_object_new_object();
    verdict_words(verdict, text, sizeof text);
    json_object_object_add(object, "name", emit_json_text(verdict->name));
    json_object_object_add(object, "against", emit_json_text(verdict->against));
    for (int m = 0; m < MEASURES; m++) {
        const struct verdict_measure *row = &verdict->measures[m];
        json_object *measure = json_object_new_object();
        json_object_object_add(measure, "difference", json_value(row->difference.difference, m));
        json_object_object_add(measure, "ci95", json_interval(&row->difference.interval, m));
        json_object_object_add(measure, "share", emit_json_share(row->share));
        json_object_object_add(measure, "p", emit_json_share(row->probability));
        json_object_object_add(measure, "p_corrected", emit_json_share(row->corrected));
        json_object_object_add(measure, "differs", json_object_new_boolean(row->differs));
        json_object_object_add(object, measure_rows[m].field, measure);
    }
    json_object_object_add(object, "rounds", emit_json_count(verdict->rounds));
    json_object_object_add(object, "rounds_least", emit_json_count(verdict->rounds_least));
    json_object_object_add(object, "rounds_needed",
                           verdict->rounds_needed ? emit_json_count(verdict->rounds_needed) : NULL);
    json_object_object_add(object, "text", emit_json_text(text));
    return object;
}

static json_object *json_ceiling(const struct verdict *first)
{
    const struct verdict_measure *measures = first->measures;
    char text[1024];
    json_object *object = json_object_new_object();
    ceiling_words(first, text, sizeof text);
    json_object_object_add(object, "allocator_share",
                           emit_json_share(measures[MEASURE_alloc_share].median));
    json_object_object_add(object, "wait_share",
                           emit_json_share(measures[MEASURE_wait_share].median));
    json_object_object_add(object, "text", emit_json_text(text));
    return object;
}

void compare_json_print(const struct compare_result *result, FILE *out)
{
    const struct compare *compare = result->compare;
    const struct compare_item *plain = compare_plain(compare);
    json_object *object = json_object_new_object();
    json_object *backends = json_object_new_array(), *verdicts = json_object_new_array();
    for (size_t i = 0; i < compare->backend_count; i++)
        json_object_array_add(backends,
                              json_item(compare, &compare->items[i], &result->backends[i]));
    for (size_t i = 1; i < compare->backend_count; i++)
        json_object_array_add(verdicts, json_verdict(&result->backends[i]));
    json_object_object_add(
        object, "until", emit_json_text(compare->plan.ready.kind == READY_NONE ? "end" : "ready"));
    json_object_object_add(object, "rounds", emit_json_count(compare->rounds));
    json_object_object_add(object, "stopped", json_object_new_boolean(compare->stopped != 0));
    json_object_object_add(object, "backends", backends);
    json_object_object_add(object, "verdict", verdicts);
    json_object_object_add(object, "ceiling", json_ceiling(&result->backends[0]));
    json_object_object_add(object, "plain",
                           plain ? json_item(compare, plain, &result->tap[0]) : NULL);
    json_object_object_add(object, "tap_cost", plain ? json_verdict(&result->tap[1]) : NULL);
    emit_json_print(object, out);
}

/* ---- CSV ------------------------------------------------------------------------------------ */

static void csv_heading(struct emit_csv *csv)
{
    static const char *const suffixes[] = {
        "", "_low", "_high", "_difference", "_difference_low", "_difference_high", "_p_corrected"};
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

static void csv_row(struct emit_csv *csv, const struct compare_item *item,
                    const struct verdict *verdict)
{
    emit_csv_text(csv, item->name);
    emit_csv_count(csv, verdict->runs);
    emit_csv_count(csv, item->failure_count);
    for (int m = 0; m < MEASURES; m++) {
        const struct verdict_measure *row = &verdict->measures[m];
        const double values[] = {row->median,
                                 row->interval.low,
                                 row->interval.high,
                                 row->difference.difference,
                                 row->difference.interval.low,
                                 row->difference.interval.high};
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            if (measure_rows[m].unit == UNIT_SHARE)
                emit_csv_share(csv, values[i]);
            else
                emit_csv_number(csv, values[i]);
        emit_csv_share(csv, row->corrected);
    }
    emit_csv_end(csv);
}

void compare_csv_print(const struct compare_result *result, FILE *out)
{
    const struct compare *compare = result->compare;
    struct emit_csv csv = {.out = out};
    csv_heading(&csv);
    for (size_t i = 0; i < compare->backend_count; i++)
        csv_row(&csv, &compare->items[i], &result->backends[i]);
    if (compare_plain(compare))
        csv_row(&csv, compare_plain(compare), &result->tap[0]);
}
