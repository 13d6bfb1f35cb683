/* SPDX-License-Identifier: MIT */
/* compare_progress.c - how far a comparison is, on a terminal. */
#include "compare.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void compare_progress_init(struct compare_progress *ret)
{
    *ret = (struct compare_progress){isatty(STDERR_FILENO) == 1, clock_ns(), 0};
}

uint64_t compare_progress_elapsed_ns(const struct compare_progress *progress)
{
    return clock_ns() - progress->start_ns;
}

void compare_progress_clear(const struct compare_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
}

/* As long as the runs up to now took on average; NaN: not known before the first one is done. */
static double left_ns(const struct compare_progress *progress, const struct compare *compare)
{
    double elapsed = (double)compare_progress_elapsed_ns(progress), left = NAN;
    if (progress->runs)
        left = elapsed / (double)progress->runs *
               (((double)compare->rounds_max + 1) * (double)compare->item_count -
                (double)progress->runs);
    if (compare->for_ns) /* fmin passes over NaN */
        left = fmin(left, fmax(0, (double)compare->for_ns - elapsed));
    return fmax(0, left);
}

/* A narrow terminal is to cut the line, not to wrap it: only one line is cleared. */
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"

void compare_progress_show(const struct compare_progress *progress, const struct compare *compare,
                           const struct compare_item *item, size_t round)
{
    if (!progress->shown)
        return;
    double left = left_ns(progress, compare);
    compare_progress_clear(progress);
    fputs(WRAP_OFF, stderr);
    if (round)
        fprintf(stderr, "round %zu", round);
    else
        fputs("warm-up", stderr);
    if (round && compare->rounds_max != UINT64_MAX)
        fprintf(stderr, " of %llu", (unsigned long long)compare->rounds_max);
    fprintf(stderr, ": %.40s", item->name);
    if (progress->runs || compare->for_ns)
        fprintf(stderr, ", about %.0f s left", ceil(left / 1e9));
    fputs(WRAP_ON, stderr);
    fflush(stderr);
}
