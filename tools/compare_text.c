/* SPDX-License-Identifier: MIT */
/* compare_text.c - the result of a comparison for people: two tables and some sentences. */
#include "compare.h"

#include "verdict_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- cells ---------------------------------------------------------------------------------- */

static struct emit_text value_text(double value, enum measure_unit unit)
{
    struct emit_text ret = {"-"};
    if (isnan(value))
        return ret;
    if (unit == UNIT_NANOSECONDS)
        return emit_duration(value);
    return unit == UNIT_BYTES ? emit_size(value) : emit_count(round(value));
}

static void cell_interval(struct emit_table *table, const struct verdict_measure *row,
                          enum measure_unit unit)
{
    char text[2 * sizeof(struct emit_text) + 8] = "";
    if (!isnan(row->interval.low))
        snprintf(text, sizeof text, "%s .. %s", value_text(row->interval.low, unit).text,
                 value_text(row->interval.high, unit).text);
    emit_table_cell(table, text);
}

/* Against the first backend, which has none. A star: more than noise. */
static void cell_change(struct emit_table *table, const struct verdict *verdict,
                        enum measure measure)
{
    const struct verdict_measure *row = &verdict->measures[measure];
    struct statistics_interval interval = verdict_share_interval(row);
    char text[64] = "", range[48] = "";
    if (!isnan(interval.low))
        snprintf(range, sizeof range, " (%+.1f .. %+.1f)", 100 * interval.low, 100 * interval.high);
    if (verdict->against && isfinite(row->share))
        snprintf(text, sizeof text, "%+.1f %%%s%s", 100 * row->share, range,
                 row->differs ? " *" : "  ");
    emit_table_cell(table, text);
}

/* ---- tables --------------------------------------------------------------------------------- */

/* What the verdicts are about. */
static void questions_print(const struct compare_result *result, FILE *out)
{
    static const struct emit_column columns[] = {
        {"backend", true},   {"wall", false}, {"95 %", true},    {"change", false},
        {"peak RSS", false}, {"95 %", true},  {"change", false}, {"runs", false},
    };
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < result->compare->backend_count; i++) {
        const struct verdict *verdict = &result->backends[i];
        emit_table_cell(table, verdict->name);
        for (int m = 0; m < MEASURES; m++) {
            const struct measure_row *row = &measure_rows[m];
            if (row->role != ROLE_QUESTION)
                continue;
            emit_table_cell(table, value_text(verdict->measures[m].median, row->unit).text);
            cell_interval(table, &verdict->measures[m], row->unit);
            cell_change(table, verdict, (enum measure)m);
        }
        emit_table_cell(table, emit_count((double)verdict->runs).text);
    }
    emit_table_print(table, out);
    emit_table_destroy(table);
}

/* What explains them. */
static void details_print(const struct compare_result *result, FILE *out)
{
    struct emit_column columns[MEASURES + 1] = {{"backend", true}};
    size_t count = 1;
    for (int m = 0; m < MEASURES; m++)
        if (measure_rows[m].role == ROLE_DETAIL)
            columns[count++] = (struct emit_column){measure_rows[m].heading, false};
    struct emit_table *table = emit_table_create(columns, count);
    for (size_t i = 0; i < result->compare->backend_count; i++) {
        const struct verdict *verdict = &result->backends[i];
        emit_table_cell(table, verdict->name);
        for (int m = 0; m < MEASURES; m++) {
            const struct verdict_measure *row = &verdict->measures[m];
            char text[64];
            if (measure_rows[m].role != ROLE_DETAIL)
                continue;
            snprintf(text, sizeof text, "%s%s", value_text(row->median, measure_rows[m].unit).text,
                     row->differs ? " *"
                     : i          ? "  "
                                  : "");
            emit_table_cell(table, text);
        }
    }
    emit_table_print(table, out);
    emit_table_destroy(table);
}

/* ---- sentences ------------------------------------------------------------------------------ */

static void sentence_print(const char *text, FILE *out)
{
    if (!*text)
        return;
    emit_put(out, text);
    fputc('\n', out);
}

/* What the tap costs: the first backend tapped against the same without. */
static void tap_cost_print(const struct compare_result *result, FILE *out)
{
    const struct verdict *tapped = &result->tap[1];
    const struct verdict_measure *time = &tapped->measures[MEASURE_wall_ns];
    const struct verdict_measure *memory = &tapped->measures[MEASURE_peak_rss_bytes];
    if (!compare_plain(result->compare) || !tapped->rounds) {
        fprintf(out, "The tap's own cost, the same for every backend, is not known: %s.\n",
                compare_plain(result->compare) ? "no plain run counts"
                                               : "the first backend cannot run without it");
        return;
    }
    struct statistics_interval range = verdict_share_interval(time);
    fprintf(out, "The tap's own cost, the same for every backend: %+.1f %% time",
            100 * time->share);
    if (!isnan(range.low))
        fprintf(out, " (%+.1f to %+.1f %%%s)", 100 * range.low, 100 * range.high,
                time->differs ? "" : "; may be noise");
    else
        fputs(" (may be noise)", out);
    if (isnan(memory->difference.difference))
        fputs(", memory not known: the program is no larger than what starts it.\n", out);
    else
        fprintf(out, ", %s%s memory.\n", memory->difference.difference < 0 ? "-" : "+",
                emit_size(fabs(memory->difference.difference)).text);
}

/* Where there are several processes, peak RSS is that of one of them. */
static void processes_print(const struct compare_result *result, FILE *out)
{
    double most = 0;
    const char *before = " Together they held at most";
    for (size_t i = 0; i < result->compare->backend_count; i++)
        most = fmax(most, result->backends[i].measures[MEASURE_processes].median);
    if (!(most > 1))
        return;
    fprintf(out, "Peak RSS is that of the largest of %s processes.", emit_count(most).text);
    for (size_t i = 0; i < result->compare->backend_count; i++) {
        const struct verdict *verdict = &result->backends[i];
        double tree = verdict->measures[MEASURE_tree_rss_bytes].median;
        if (isnan(tree))
            continue;
        fprintf(out, "%s %s under ", before, emit_size(tree).text);
        emit_put(out, verdict->name);
        before = ",";
    }
    fputs(*before == ',' ? ", shared pages counted in each.\n" : "\n", out);
}

/* Of allocators that count them. */
static void locks_print(const struct verdict *verdict, FILE *out)
{
    const struct verdict_measure *measures = verdict->measures;
    double acquisitions = measures[MEASURE_lock_acquisitions].median;
    if (isnan(acquisitions))
        return;
    emit_put(out, verdict->name);
    fprintf(out, "'s own count of its locks: taken %s times, %s of them not at once, ",
            emit_count(round(acquisitions)).text,
            emit_count(round(measures[MEASURE_lock_contended].median)).text);
    fprintf(out, "%s waited.\n", emit_duration(measures[MEASURE_lock_wait_ns].median).text);
}

static void failures_print(const struct compare *compare, FILE *out)
{
    for (size_t i = 0; i < compare->item_count; i++) {
        const struct compare_item *item = &compare->items[i];
        for (size_t f = 0; f < item->failure_count; f++) {
            const struct compare_failure *failure = &item->failures[f];
            emit_put(out, item->name);
            if (failure->round)
                fprintf(out, ", round %zu, does not count: ", failure->round);
            else
                fputs(", warm-up, not run again: ", out);
            emit_put(out, failure->why);
            fputc('\n', out);
        }
    }
}

void compare_text_print(const struct compare_result *result, FILE *out)
{
    const struct compare *compare = result->compare;
    char text[1024];
    fprintf(out, "%s in %zu interleaved round%s: medians; * differs from ",
            compare->plan.ready.kind == READY_NONE ? "Time to the end" : "Time until ready",
            compare->rounds, compare->rounds == 1 ? "" : "s");
    emit_put(out, result->backends[0].name);
    fputs(" by more than noise\n\n", out);
    questions_print(result, out);
    fputc('\n', out);
    details_print(result, out);
    fputc('\n', out);
    for (size_t i = 0; i < compare->backend_count; i++) {
        verdict_words(&result->backends[i], text, sizeof text);
        sentence_print(text, out);
    }
    ceiling_words(&result->backends[0], text, sizeof text);
    sentence_print(text, out);
    for (size_t i = 0; i < compare->backend_count; i++)
        locks_print(&result->backends[i], out);
    processes_print(result, out);
    tap_cost_print(result, out);
    failures_print(compare, out);
}
