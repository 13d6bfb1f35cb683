/* SPDX-License-Identifier: MIT */
#include "view_log.h"

#include "options.h"
#include "view_counters.h"
#include "view_log_stacks.h"

#include <inttypes.h>
#include <string.h>

/* One line, whatever it came from. */
struct line {
    uint64_t ns;
    uint32_t tid;
    const char *op;
    uint64_t address;
    uint64_t old; /* of a realloc */
    uint64_t size;
    double weight; /* 0: one of every call */
    uint32_t stack;
    bool resizes;
    bool failed;
};

struct view_log {
    const struct malloctap_recording *recording;
    const struct view_log_query *query;
    enum emit_format format;
    FILE *out;
    struct view_log_stacks stacks;
    uint32_t tid;         /* the thread asked for; 0: see `threads` */
    struct table threads; /* the threads asked for by name */
};

/* ---- what to show ---------------------------------------------------------------------------- */

/* Find the threads asked for. */
static int find_threads(struct view_log *log, struct malloctap_error *error)
{
    const char *wanted = log->query->thread;
    struct malloctap_thread_slot slot;
    uint64_t number = 0;
    bool found = !wanted, inserted;
    if (wanted && parse_count(wanted, &number) && number <= UINT32_MAX)
        log->tid = (uint32_t)number;
    for (uint64_t position = 0;
         wanted && malloctap_recording_next_thread(log->recording, &position, &slot);) {
        if (log->tid ? slot.tid != log->tid : strcmp(slot.name, wanted) != 0)
            continue;
        found = true;
        if (!log->tid)
            table_insert(&log->threads, slot.thread, 0, 0, &inserted);
    }
    struct malloctap_counters counters;
    if (found || (log->tid && malloctap_recording_exited(log->recording, &counters) > 0))
        return 0; /* also where it may be one of those whose numbers were not kept */
    snprintf(error->text, sizeof error->text,
             "%.300s: no thread %.100s in it; `malloctap threads` "
             "lists them",
             malloctap_recording_path(log->recording), wanted);
    return -1;
}

static bool of_thread(const struct view_log *log, const struct malloctap_event *event)
{
    if (!log->query->thread)
        return true;
    return log->tid ? event->tid == log->tid : table_find(&log->threads, event->thread, 0) != NULL;
}

static bool wanted(struct view_log *log, const struct malloctap_event *event,
                   const struct line *line)
{
    const struct view_log_query *query = log->query;
    bool has_size = event->record->kind != MALLOCTAP_RECORD_FREE;
    if (!(query->ops >> event->record->op & 1) || !of_thread(log, event))
        return false;
    if (query->min_size > 0 || query->max_size < UINT64_MAX) {
        if (!has_size || line->size < query->min_size || line->size > query->max_size)
            return false;
    }
    return !query->function || view_log_stacks_get(&log->stacks, line->stack)->matches;
}

static const char *op_name(const struct malloctap_event *event)
{
    static const char *const names[MALLOCTAP_OPS] = {
#define X(NAME, name) [MALLOCTAP_OP_##NAME] = #name,
        MALLOCTAP_ALLOC_OPS(X)
#undef X
            [MALLOCTAP_OP_FREE] = "free",
    };
    if (event->record->kind == MALLOCTAP_RECORD_FREED)
        return "freed";
    if (event->record->kind == MALLOCTAP_RECORD_FREE && event->record->op == MALLOCTAP_OP_REALLOC)
        return "realloc-free";
    return names[event->record->op];
}

static struct line read_line(const struct malloctap_recording *recording,
                             const struct malloctap_event *event)
{
    const struct malloctap_sample *sample = (const void *)event->record;
    const struct malloctap_freed *freed = (const void *)event->record;
    struct line line = {
        .ns = malloctap_recording_ns(recording, malloctap_record_ticks(event->record)),
        .tid = event->tid,
        .op = op_name(event),
        .stack = event->record->stack,
        .old = event->old,
        .resizes = event->logged && event->record->kind == MALLOCTAP_RECORD_ALLOC &&
                   event->record->op == MALLOCTAP_OP_REALLOC,
    };
    if (event->record->kind == MALLOCTAP_RECORD_FREED) {
        line.address = freed->address;
        line.size = freed->size;
        line.weight = freed->weight;
    } else {
        line.address = sample->address;
        line.size = sample->size;
        line.weight = event->logged ? 0 : sample->weight;
        line.failed = sample->flags & MALLOCTAP_SAMPLE_FAILED;
    }
    return line;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void print_text(struct view_log *log, const struct line *line)
{
    char address[24] = "NULL", old[32] = "";
    if (line->address)
        snprintf(address, sizeof address, "0x%" PRIx64, line->address);
    if (line->old)
        snprintf(old, sizeof old, "  was 0x%" PRIx64, line->old);
    fprintf(log->out, "%6" PRIu64 ".%09u %8" PRIu32 "  %-12s  %-14s %10" PRIu64 "%s%s",
            line->ns / 1000000000, (unsigned)(line->ns % 1000000000), line->tid, line->op, address,
            line->size, old, line->failed ? "  failed" : "");
    if (line->weight > 0)
        fprintf(log->out, "  x%.6g", line->weight);
    fputc('\n', log->out);
    if (log->query->stacks)
        fputs(view_log_stacks_get(&log->stacks, line->stack)->text, log->out);
}

static void print_json_address(FILE *out, const char *name, uint64_t address)
{
    if (address)
        fprintf(out, ",\"%s\":\"0x%" PRIx64 "\"", name, address);
    else
        fprintf(out, ",\"%s\":null", name);
}

/* Names and numbers only, but for the call path, which json-c wrote. */
static void print_json(struct view_log *log, const struct line *line)
{
    fprintf(log->out, "{\"time\":%" PRIu64 ",\"tid\":%" PRIu32 ",\"op\":\"%s\"", line->ns,
            line->tid, line->op);
    print_json_address(log->out, "address", line->address);
    fprintf(log->out, ",\"size\":%" PRIu64, line->size);
    if (line->resizes)
        print_json_address(log->out, "old", line->old);
    if (line->failed)
        fputs(",\"failed\":true", log->out);
    if (line->weight > 0)
        fprintf(log->out, ",\"weight\":%.6g", line->weight);
    if (log->query->stacks)
        fprintf(log->out, ",\"stack\":%s", view_log_stacks_get(&log->stacks, line->stack)->text);
    fputs("}\n", log->out);
}

static void print_csv(struct view_log *log, const struct line *line)
{
    fprintf(log->out, "%" PRIu64 ",%" PRIu32 ",%s,", line->ns, line->tid, line->op);
    if (line->address)
        fprintf(log->out, "0x%" PRIx64, line->address);
    fprintf(log->out, ",%" PRIu64 ",", line->size);
    if (line->old)
        fprintf(log->out, "0x%" PRIx64, line->old);
    fprintf(log->out, ",%d,%.6g", line->failed, line->weight > 0 ? line->weight : 1);
    if (log->query->stacks)
        fprintf(log->out, ",%s", view_log_stacks_get(&log->stacks, line->stack)->text);
    fputs("\r\n", log->out);
}

static void print_line(struct view_log *log, const struct line *line)
{
    switch (log->format) {
    case EMIT_TEXT:
        print_text(log, line);
        break;
    case EMIT_JSON:
        print_json(log, line);
        break;
    case EMIT_CSV:
        print_csv(log, line);
        break;
    }
}

/* ---- before and after ------------------------------------------------------------------------ */

/* A moment as the lines have it. */
static struct emit_text seconds(const struct view_log *log, uint64_t ticks)
{
    uint64_t ns = malloctap_recording_ns(log->recording, ticks);
    struct emit_text text;
    snprintf(text.text, sizeof text.text, "%" PRIu64 ".%09u", ns / 1000000000,
             (unsigned)(ns % 1000000000));
    return text;
}

static void print_header(const struct view_log *log)
{
    const struct malloctap_header *header = malloctap_recording_header(log->recording);
    if (log->format == EMIT_CSV)
        fprintf(log->out, "time,tid,op,address,size,old,failed,weight%s\r\n",
                log->query->stacks ? ",stack" : "");
    if (log->format != EMIT_TEXT)
        return;
    bool switched = malloctap_recording_switched(log->recording);
    fputs(header->mode == MALLOCTAP_MODE_LOG && !switched
              ? "Every call, in order of time"
              : "Sampled calls, in order of time; one marked xN stands for N calls",
          log->out);
    if (switched)
        fputs(".\nWhat is recorded was switched while it ran: lines without xN are of a log, which "
              "has every call of its time",
              log->out);
    fputs(".\nLost: ", log->out);
    view_lost_text(log->recording, log->out);
    fputs(".\n", log->out);
    if (header->overwritten_until)
        fprintf(log->out, "Until %s not all are there: newer ones took their place.\n",
                seconds(log, header->overwritten_until).text);
    if (header->lost_since)
        fprintf(log->out, "From %s on not all are there: there was no space.\n",
                seconds(log, header->lost_since).text);
    fprintf(log->out, "\n%16s %8s  %-12s  %-14s %10s\n", "seconds", "tid", "op", "address", "size");
}

static void print_footer(const struct view_log *log, uint64_t rows, uint64_t damaged,
                         const struct malloctap_error *damage)
{
    const struct malloctap_header *header = malloctap_recording_header(log->recording);
    if (rows == 0 && log->format == EMIT_TEXT)
        fputs(header->mode == MALLOCTAP_MODE_COUNT
                  ? "Calls were only counted (mode count); record with -m log.\n"
                  : "No such call was recorded.\n",
              log->out);
    if (damaged)
        say("%" PRIu64 " damaged part%s left out: %s", damaged, damaged == 1 ? "" : "s",
            damage->text);
}

static int print_records(struct view_log *log, struct malloctap_error *error)
{
    const struct view_log_query *query = log->query;
    uint64_t rows = 0, damaged = 0;
    struct malloctap_merge *merge;
    struct malloctap_event event;
    struct malloctap_error damage, first_damage;
    uint64_t from = malloctap_recording_ticks(log->recording, query->since_ns);
    uint64_t until = malloctap_recording_last_tick(log->recording, query->until_ns);
    if (malloctap_merge_open(log->recording, query->since_ns ? from : 0, until, &merge, error) < 0)
        return -1;
    print_header(log);
    for (int result; !ferror(log->out) && (query->rows_max == 0 || rows < query->rows_max) &&
                     (result = malloctap_merge_next(merge, &event, &damage)) != 0;) {
        if (result < 0) {
            if (damaged++ == 0)
                first_damage = damage;
            continue;
        }
        struct line line = read_line(log->recording, &event);
        if (!wanted(log, &event, &line))
            continue;
        print_line(log, &line);
        rows++;
    }
    malloctap_merge_close(merge);
    print_footer(log, rows, damaged, &first_damage);
    return 0;
}

int view_log_print(const struct malloctap_recording *recording, const struct view_log_query *query,
                   enum emit_format format, FILE *out, struct malloctap_error *error)
{
    struct view_log log = {.recording = recording, .query = query, .format = format, .out = out};
    if (find_threads(&log, error) < 0)
        return -1;
    view_log_stacks_init(&log.stacks, recording, query->function, format);
    int result = print_records(&log, error);
    view_log_stacks_deinit(&log.stacks);
    table_deinit(&log.threads);
    return result;
}
