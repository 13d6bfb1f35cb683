/* SPDX-License-Identifier: MIT */
/* compare_rounds.c - the runs of a comparison, in an order that is fair to all. */
#include "compare.h"

#include "costs.h"
#include "options.h"
#include "output.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop_signal;

static void on_stop(int signal)
{
    stop_signal = signal;
}

const struct compare_item *compare_plain(const struct compare *compare)
{
    return compare->item_count > compare->backend_count ? &compare->items[compare->backend_count]
                                                        : NULL;
}

/* ---- one run -------------------------------------------------------------------------------- */

/* What the tap saw; a tapped run without a recording was not tapped and must not count. Returns
 * whether much of it found no space. */
static bool recordings_take(const char *path, struct runner_result *result)
{
    struct output_recordings recordings;
    bool lost = false;
    output_find(path, 0, &recordings);
    if (!*result->failure && !output_of_process(&recordings, result->pid))
        snprintf(result->failure, sizeof result->failure,
                 "left no recording: the loader did not load the tap, or it could not write (no "
                 "space?)");
    if (!*result->failure)
        lost = costs_take(&recordings, &result->measures);
    output_recordings_deinit(&recordings);
    return lost;
}

static void loss_tell(struct compare *compare, const struct compare_progress *progress)
{
    if (compare->loss_told)
        return;
    compare->loss_told = true;
    compare_progress_clear(progress);
    say("records found no space in %s, so times inside malloc are not known; make room there, or set "
        "%s to another place",
        compare->keep ? compare->keep : compare->scratch, compare->keep ? "--keep" : "TMPDIR");
}

/* A command of --setup or --cleanup, which is neither tapped nor measured. */
static void side_run(const struct compare *compare, const char *option, const char *command,
                     const char *output, struct runner_result *result)
{
    static const struct backend own = {.spec = {.backend = (char *)"own"}};
    const struct tap untapped = {.backend = &own};
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    struct runner_plan plan = {.path = "/bin/sh",
                               .argv = argv,
                               .input = "/dev/null",
                               .apart = true,
                               .timeout_ns = compare->plan.timeout_ns,
                               .grace_ns = compare->plan.grace_ns};
    struct runner_result done;
    if (!command)
        return;
    runner_run(&plan, &untapped, output, &done);
    result->interrupted |= done.interrupted;
    if (*done.failure && !*result->failure)
        snprintf(result->failure, sizeof result->failure, "%s %.200s", option, done.failure);
}

/* The command line, as far as there is room. */
static void command_words(char **argv, char *ret, size_t size)
{
    size_t length = 0;
    *ret = '\0';
    for (; *argv && length + 1 < size; argv++)
        length += (size_t)snprintf(ret + length, size - length, " %s", *argv);
}

static void failure_note(const struct compare *compare, struct compare_item *item, size_t round,
                         const char *why, const char *output)
{
    item->failures = realloc(item->failures, (item->failure_count + 1) * sizeof *item->failures);
    if (!item->failures)
        abort();
    struct compare_failure *failure = &item->failures[item->failure_count++];
    failure->round = round;
    snprintf(failure->why, sizeof failure->why, "%s", why);
    char when[32] = "warm-up";
    if (round)
        snprintf(when, sizeof when, "round %zu", round);
    item->given_up = round == 0;
    char command[256];
    command_words(compare->plan.argv, command, sizeof command);
    say("%s, %s: %s; %s:%s", item->name, when, why,
        round ? "this run does not count" : "not run again", command);
    compare_output_show(output);
}

/* Round 0 is the warm-up: nothing of it is kept. */
static void item_run(struct compare *compare, struct compare_item *item, size_t round,
                     const struct compare_progress *progress)
{
    char output[PATH_MAX], command_output[PATH_MAX];
    struct runner_result result = {0};
    compare_file(round && compare->keep_output ? compare->keep_output : compare->scratch, compare,
                 item, round, "txt", output, sizeof output);
    compare_file(round && compare->keep ? compare->keep : compare->scratch, compare, item, round,
                 "mtap", item->tap.output, sizeof item->tap.output);
    compare_file(compare->scratch, compare, item, round, "command", command_output,
                 sizeof command_output);
    const char *shown = command_output;
    side_run(compare, "--setup", compare->setup, command_output, &result);
    if (!*result.failure) {
        shown = output;
        runner_run(&compare->plan, &item->tap, output, &result);
        if (!result.interrupted && *item->tap.library && recordings_take(item->tap.output, &result))
            loss_tell(compare, progress);
    }
    bool failed = *result.failure;
    side_run(compare, "--cleanup", compare->cleanup, command_output, &result);
    if (!failed && *result.failure)
        shown = command_output;
    if (!stop_signal && *result.failure) {
        compare_progress_clear(progress);
        failure_note(compare, item, round, result.failure, shown);
    } else if (!stop_signal && round) {
        item->rounds[round - 1] = result.measures;
    }
    compare_scratch_clear(compare);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/*
 * Every second round is the one before it backwards. The others are rows of Williams' Latin square,
 * a zigzag that moves on by one from row to row: so each item comes to each place, and after each
 * other item, about equally often.
 */
static size_t order(size_t round, size_t place, size_t count)
{
    size_t at = round % 2 ? count - 1 - place : place;
    size_t zigzag = at % 2 ? (at + 1) / 2 : (count - at / 2) % count;
    return (zigzag + round / 2) % count;
}

/* Room for the round's runs, none of which counts yet. */
static void round_begin(struct compare *compare, size_t round)
{
    for (size_t i = 0; round && i < compare->item_count; i++) {
        struct compare_item *item = &compare->items[i];
        item->rounds = realloc(item->rounds, round * sizeof *item->rounds);
        if (!item->rounds)
            abort();
        measures_clear(&item->rounds[round - 1]);
    }
    compare->rounds = round;
}

static void signals_take(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const struct sigaction stop = {.sa_handler = on_stop}; /* no SA_RESTART: it must end a read() */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN)
            sigaction(signals[i], &stop, NULL);
    }
}

/* Without the first backend there is nothing to compare with. */
static bool over(const struct compare *compare, const struct compare_progress *progress,
                 size_t round)
{
    return stop_signal || compare->items[0].given_up ||
           (round > 1 && compare->for_ns &&
            compare_progress_elapsed_ns(progress) >= compare->for_ns);
}

void compare_run(struct compare *compare)
{
    struct compare_progress progress;
    signals_take();
    compare_progress_init(&progress);
    for (size_t round = 0; round <= compare->rounds_max && !over(compare, &progress, round);
         round++) {
        round_begin(compare, round);
        for (size_t place = 0; place < compare->item_count && !stop_signal; place++) {
            struct compare_item *item = &compare->items[order(round, place, compare->item_count)];
            if (item->given_up)
                continue;
            compare_progress_show(&progress, compare, item, round);
            item_run(compare, item, round, &progress);
            progress.runs++;
        }
    }
    compare_progress_clear(&progress);
    compare->stopped = stop_signal;
    if (stop_signal && compare->rounds)
        compare->rounds--; /* the one that was cut short: some have had their run, some not */
}
