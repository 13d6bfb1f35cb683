/* SPDX-License-Identifier: MIT */
/* compare_rounds.c - the runs of a comparison, in an order that is fair to all. */
#include "compare.h"

#include "costs.h"
#include "options.h"
#include "output.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

static void on_stop(int signal)
{
    stop_signal = signal;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

const struct compare_item *compare_plain(const struct compare *compare)
{
    return compare->item_count > compare->backend_count ? &compare->items[compare->backend_count]
                                                        : NULL;
}

/* ---- files ---------------------------------------------------------------------------------- */

static void directory_clear(const char *path)
{
    DIR *listing = opendir(path);
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));)
        unlinkat(dirfd(listing), entry->d_name, 0); /* . and .. are directories and stay */
    closedir(listing);
}

/* DIRECTORY/NUMBER-NAME-ROUND.SUFFIX; a name given with -b may have anything in it. */
static void run_file(const char *directory, const struct compare *compare,
                     const struct compare_item *item, size_t round, const char *suffix, char *ret,
                     size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    char name[64];
    snprintf(name, sizeof name, "%s", item->name);
    for (char *at = name; *(at += strspn(at, plain));)
        *at = '-';
    snprintf(ret, size, "%s/%zu-%s-%zu.%s", directory, (size_t)(item - compare->items) + 1, name,
             round, suffix);
}

/* The end of what a failed run printed. */
static void output_show(const char *path)
{
    enum { SHOWN = 2000 };
    char text[SHOWN + 1];
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    bool cut = fseek(file, -SHOWN, SEEK_END) == 0;
    if (!cut)
        rewind(file);
    text[fread(text, 1, SHOWN, file)] = '\0';
    fclose(file);
    const char *line = text, *newline = cut ? strchr(text, '\n') : NULL;
    if (newline)
        line = newline + 1;
    while (*line) {
        size_t length = strcspn(line, "\n");
        char *printable = strndup(line, length);
        if (!printable)
            abort();
        fputs("  | ", stderr);
        emit_put(stderr, printable);
        fputc('\n', stderr);
        free(printable);
        line += length + (line[length] != '\0');
    }
}

/* ---- progress ------------------------------------------------------------------------------- */

struct progress {
    bool shown;
    uint64_t start_ns;
    size_t done; /* runs, warm-ups included */
};

static void progress_clear(const struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
}

static void progress_print(const struct progress *progress, const struct compare *compare,
                           const struct compare_item *item, size_t round)
{
    if (!progress->shown)
        return;
    uint64_t elapsed = clock_ns() - progress->start_ns;
    double left = NAN;
    if (progress->done)
        left = (double)elapsed / (double)progress->done *
               (double)((compare->rounds + 1) * compare->item_count - progress->done);
    if (compare->for_ns)
        left = fmin(isnan(left) ? INFINITY : left,
                    compare->for_ns > elapsed ? (double)(compare->for_ns - elapsed) : 0);
    progress_clear(progress);
    if (round)
        fprintf(stderr, "round %zu", round);
    else
        fputs("warm-up", stderr);
    if (round && compare->rounds != UINT64_MAX)
        fprintf(stderr, " of %llu", (unsigned long long)compare->rounds);
    fprintf(stderr, ": %.40s", item->name);
    if (isfinite(left))
        fprintf(stderr, ", about %.0f s left", ceil(left / 1e9));
    fflush(stderr);
}

/* ---- one run -------------------------------------------------------------------------------- */

/* What the tap saw; a tapped run without a recording was not tapped and must not count. */
static void recordings_take(const char *path, struct runner_result *result)
{
    struct output_recordings recordings;
    output_find(path, 0, &recordings);
    if (!*result->failure && !output_of_process(&recordings, result->pid))
        snprintf(result->failure, sizeof result->failure,
                 "left no recording: the loader did not load the tap, or it could not write");
    if (!*result->failure)
        costs_take(&recordings, &result->measures);
    output_recordings_deinit(&recordings);
}

static void failure_note(struct compare_item *item, size_t round,
                         const struct runner_result *result, const char *output)
{
    char when[32] = "in its warm-up";
    if (round)
        snprintf(when, sizeof when, "in round %zu", round);
    if (!item->failed++)
        snprintf(item->failure, sizeof item->failure, "%.200s, %s", result->failure, when);
    item->given_up = round == 0;
    say("%s, %s: %s; %s", item->name, when, result->failure,
        round ? "this run does not count" : "not run again");
    output_show(output);
}

static void run_add(struct compare_item *item, const struct measures *measures)
{
    item->runs = realloc(item->runs, (item->count + 1) * sizeof *item->runs);
    if (!item->runs)
        abort();
    item->runs[item->count++] = *measures;
}

/* Round 0 is the warm-up: nothing of it is kept. */
static void item_run(struct compare *compare, struct compare_item *item, size_t round,
                     const struct progress *progress)
{
    char output[PATH_MAX];
    struct runner_result result;
    run_file(round && compare->output ? compare->output : compare->scratch, compare, item, round,
             "txt", output, sizeof output);
    run_file(round && compare->keep ? compare->keep : compare->scratch, compare, item, round,
             "mtap", item->tap.output, sizeof item->tap.output);
    runner_run(&compare->plan, &item->tap, output, &result);
    if (!result.interrupted && *item->tap.library)
        recordings_take(item->tap.output, &result);
    if (!stop_signal && *result.failure) {
        progress_clear(progress);
        failure_note(item, round, &result, output);
    } else if (!stop_signal && round) {
        run_add(item, &result.measures);
    }
    directory_clear(compare->scratch);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/*
 * Every second round is the one before it backwards, and each pair begins with another item: so
 * none always has the same place, nor always the same one before it.
 */
static size_t order(size_t round, size_t place, size_t count)
{
    size_t turned = (place + round / 2) % count;
    return round % 2 ? count - 1 - turned : turned;
}

static bool time_over(const struct compare *compare, const struct progress *progress)
{
    return compare->for_ns && clock_ns() - progress->start_ns >= compare->for_ns;
}

/* Without the first backend there is nothing to compare with. */
static bool hopeless(const struct compare *compare)
{
    return compare->items[0].given_up;
}

int compare_rounds(struct compare *compare)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const struct sigaction stop = {.sa_handler = on_stop}; /* no SA_RESTART: it must end a read() */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN)
            sigaction(signals[i], &stop, NULL);
    }
    struct progress progress = {isatty(STDERR_FILENO) == 1, clock_ns(), 0};
    for (size_t round = 0; round <= compare->rounds && !stop_signal && !hopeless(compare);
         round++) {
        if (round > 1 && time_over(compare, &progress))
            break;
        for (size_t place = 0; place < compare->item_count && !stop_signal; place++) {
            struct compare_item *item = &compare->items[order(round, place, compare->item_count)];
            if (item->given_up)
                continue;
            progress_print(&progress, compare, item, round);
            item_run(compare, item, round, &progress);
            progress.done++;
        }
        compare->rounds_done = round;
    }
    progress_clear(&progress);
    return stop_signal;
}
