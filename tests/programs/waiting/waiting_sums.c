/* SPDX-License-Identifier: MIT */
/*
 * waiting_sums - what a recording's samples say of waiting: a JSON object for each innermost
 * function, and one for all together whose function is null; there, too, what the allocator itself
 * measured at its locks, if it does.
 */
#include <malloctap/reader.h>
#include <symbols.h>
#include <waiting.h>

#include <stdio.h>

#define FUNCTIONS_MAX 256

struct function {
    const char *name;
    struct waiting waiting;
};

static struct function functions[FUNCTIONS_MAX];
static size_t function_count;

static struct waiting *waiting_of(const char *name)
{
    size_t i = 0;
    while (i < function_count && functions[i].name != name)
        i++;
    if (i == FUNCTIONS_MAX)
        return NULL;
    if (i == function_count)
        functions[function_count++].name = name;
    return &functions[i].waiting;
}

static const char *innermost(const struct malloctap_recording *recording, struct symbols *symbols,
                             uint32_t stack)
{
    struct malloctap_frames frames;
    size_t count;
    if (!malloctap_recording_stack(recording, stack, &frames) || frames.count == 0)
        return "";
    const struct symbol_frame *frame = symbols_lookup(symbols, frames.frames[0], &count);
    return frame->function ? frame->function : "";
}

static void print(const char *name, const struct waiting *waiting)
{
    struct statistics_interval interval = waiting_interval(waiting);
    printf("{\"function\":%s%s%s,\"classed\":%lu,\"blocked\":%lu,\"wait_ns\":%.0f,\"low_ns\":%.0f,",
           name ? "\"" : "", name ? name : "null", name ? "\"" : "", waiting->classed,
           waiting->blocked, waiting_ns(waiting), interval.low);
    if (waiting->blocked)
        printf("\"high_ns\":%.0f", interval.high);
    else
        printf("\"high_ns\":null");
}

static void print_locks(const struct malloctap_recording *recording)
{
    struct malloctap_lock_row row;
    uint64_t position = 0, contended = 0, wait_ns = 0;
    while (malloctap_recording_next_lock(recording, &position, &row)) {
        contended += row.contended;
        wait_ns += row.wait_ns;
    }
    if (position > 0)
        printf(",\"locks_contended\":%lu,\"locks_wait_ns\":%lu", contended, wait_ns);
}

static int add_all(const struct malloctap_recording *recording, struct symbols *symbols,
                   struct malloctap_error *error)
{
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    int status;
    if (malloctap_cursor_open(recording, &cursor, error) < 0)
        return -1;
    while ((status = malloctap_cursor_next(cursor, &event, error)) > 0) {
        uint8_t kind = event.record->kind;
        if (kind != MALLOCTAP_RECORD_ALLOC && kind != MALLOCTAP_RECORD_FREE)
            continue;
        struct waiting *waiting = waiting_of(innermost(recording, symbols, event.record->stack));
        if (waiting != NULL)
            waiting_add_sample(waiting, (const void *)event.record);
    }
    malloctap_cursor_close(cursor);
    return status;
}

int main(int argc, char **argv)
{
    struct malloctap_recording *recording;
    struct malloctap_error error = {"usage: waiting_sums RECORDING"};
    struct waiting all = {0};
    if (argc != 2 || malloctap_recording_open(argv[1], &recording, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    struct symbols *symbols = symbols_create(recording);
    int status = add_all(recording, symbols, &error);
    if (status < 0)
        fprintf(stderr, "%s\n", error.text);
    for (size_t i = 0; i < function_count; i++) {
        print(functions[i].name, &functions[i].waiting);
        printf("}\n");
        waiting_add(&all, &functions[i].waiting);
    }
    print(NULL, &all);
    print_locks(recording);
    printf("}\n");
    symbols_destroy(symbols);
    malloctap_recording_close(recording);
    return status < 0;
}
