/* SPDX-License-Identifier: MIT */
#include "verdict_words.h"

#include "emit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- amounts -------------------------------------------------------------------------------- */

static struct emit_text bytes_words(double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    struct emit_text ret;
    size_t unit = 0;
    for (; bytes >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    snprintf(ret.text, sizeof ret.text, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return ret;
}

/* As much as one says of a difference: two figures or three. */
static struct emit_text time_words(double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    struct emit_text ret;
    size_t unit = 0;
    if (ns >= 120e9)
        return emit_duration(ns);
    for (; ns >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        ns /= 1000;
    snprintf(ret.text, sizeof ret.text, ns < 99.95 ? "%.1f %s" : "%.0f %s", ns, units[unit]);
    return ret;
}

static struct emit_text share_words(double share)
{
    struct emit_text ret;
    double percent = 100 * fabs(share);
    snprintf(ret.text, sizeof ret.text, percent < 9.95 ? "%.1f %%" : "%.0f %%", percent);
    return ret;
}

/* ---- sentences ------------------------------------------------------------------------------ */

struct sentence {
    char *text;
    size_t size;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void put(struct sentence *sentence, const char *format,
                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sentence->text + sentence->length, sentence->size - sentence->length,
                           format, arguments);
    va_end(arguments);
    if (length > 0)
        sentence->length += (size_t)length;
    if (sentence->length >= sentence->size)
        sentence->length = sentence->size - 1;
}

/* "9.8 s (33 %) faster", "4.0 GiB (33 %) more memory" */
static void put_time(struct sentence *sentence, const struct verdict_measure *time)
{
    double ns = time->difference.difference;
    put(sentence, "%s (%s) %s", time_words(fabs(ns)).text, share_words(time->share).text,
        ns < 0 ? "faster" : "slower");
}

static void put_memory(struct sentence *sentence, const struct verdict_measure *memory)
{
    double bytes = memory->difference.difference;
    put(sentence, "%s (%s) %s memory", bytes_words(fabs(bytes)).text,
        share_words(memory->share).text, bytes > 0 ? "more" : "less");
}

/* "time -0.5 to +0.8 %": where the difference may lie. */
static void put_range(struct sentence *sentence, const char *what,
                      const struct verdict_measure *measure)
{
    struct statistics_interval range = verdict_share_interval(measure);
    if (isnan(range.low))
        put(sentence, "%snot known", what);
    else
        put(sentence, "%s%+.1f to %+.1f %%", what, 100 * range.low, 100 * range.high);
}

/* The interval is sure of a difference, the rank tests are not. */
static bool close_to_call(const struct verdict_measure *measure)
{
    const struct statistics_interval *interval = &measure->difference.interval;
    return !measure->differs && !(fabs(measure->share) < VERDICT_SHARE_MIN) &&
           (interval->low > 0 || interval->high < 0);
}

static void put_unseen(struct sentence *sentence, const char *what,
                       const struct verdict_measure *measure)
{
    if (isnan(measure->difference.difference)) {
        put(sentence, "%s not known", what);
        return;
    }
    if (close_to_call(measure))
        put(sentence, "%s too close to call (", what);
    else
        put(sentence, "no difference in %s to be seen (", what);
    put_range(sentence, "", measure);
    put(sentence, ")");
}

/* What it would take to see a difference in time, where these rounds are too few for it. */
static void put_needed(struct sentence *sentence, const struct verdict *verdict)
{
    bool many = !verdict->rounds_needed;
    if (isnan(verdict->needed_share) || (!many && verdict->rounds_needed <= verdict->rounds))
        return;
    put(sentence, "; the runs vary too much for so few: to see %s of time would take %s %d rounds",
        share_words(verdict->needed_share).text, many ? "more than" : "about",
        many ? STATISTICS_ROUNDS_MAX : (int)verdict->rounds_needed);
}

/* A price where one is paid for the other and there is enough of it to name one; else the two side
 * by side. */
static void put_trade(struct sentence *sentence, const struct verdict_measure *time,
                      const struct verdict_measure *memory)
{
    const double price_share_min = 0.01;
    double ns = time->difference.difference, bytes = memory->difference.difference;
    bool price = (ns < 0) == (bytes > 0) && fabs(memory->share) >= price_share_min &&
                 fabs(time->share) >= price_share_min;
    put_time(sentence, time);
    put(sentence, price ? " for " : ", and ");
    put_memory(sentence, memory);
    if (price)
        put(sentence, ": %s a GiB", time_words(fabs(ns / bytes) * 1073741824).text);
}

static void put_too_few(struct sentence *sentence, const struct verdict *verdict)
{
    const struct verdict_measure *time = &verdict->measures[MEASURE_wall_ns];
    if (!verdict->rounds) {
        put(sentence, "no round to compare");
        return;
    }
    put(sentence, "%zu round%s cannot tell (by the medians %s %s); it takes %zu at least",
        verdict->rounds, verdict->rounds == 1 ? "" : "s", share_words(time->share).text,
        time->difference.difference < 0 ? "faster" : "slower", verdict->rounds_least);
}

void verdict_words(const struct verdict *verdict, char *ret, size_t size)
{
    const struct verdict_measure *time = &verdict->measures[MEASURE_wall_ns];
    const struct verdict_measure *memory = &verdict->measures[MEASURE_peak_rss_bytes];
    struct sentence sentence = {ret, size, 0};
    *ret = '\0';
    if (!verdict->against)
        return;
    put(&sentence, "%s: ", verdict->name);
    if (verdict->rounds < verdict->rounds_least) {
        put_too_few(&sentence, verdict);
    } else if (time->differs && memory->differs) {
        put_trade(&sentence, time, memory);
    } else if (time->differs) {
        put_time(&sentence, time);
        put(&sentence, ", ");
        put_unseen(&sentence, "memory", memory);
    } else if (memory->differs) {
        put_unseen(&sentence, "time", time);
        put(&sentence, ", and ");
        put_memory(&sentence, memory);
        put_needed(&sentence, verdict);
    } else {
        if (close_to_call(time) || close_to_call(memory)) {
            put_unseen(&sentence, "time", time);
            put(&sentence, ", ");
            put_unseen(&sentence, "memory", memory);
        } else {
            put(&sentence, "no difference to be seen (");
            put_range(&sentence, "time ", time);
            put_range(&sentence, ", memory ", memory);
            put(&sentence, ")");
        }
        put_needed(&sentence, verdict);
    }
}

void ceiling_words(const struct verdict *first, char *ret, size_t size)
{
    const struct verdict_measure *measures = first->measures;
    const struct verdict_measure *share = &measures[MEASURE_alloc_share];
    double waiting = measures[MEASURE_wait_share].median;
    double most = measures[MEASURE_alloc_thread_max_ns].median;
    struct sentence sentence = {ret, size, 0};
    if (isnan(share->median)) {
        put(&sentence,
            "The ceiling is not known: under %s no run has enough sampled calls to say "
            "how long malloc takes.",
            first->name);
        return;
    }
    put(&sentence,
        "The ceiling: under %s, malloc and free take at most about %s of the time that threads run or wait there",
        first->name, share_words(fmin(1, share->median)).text);
    if (!isnan(share->interval.low))
        put(&sentence, " (%.1f to %.1f %%)", 100 * fmin(1, share->interval.low),
            100 *
                fmin(1, share->interval.high)); /* an estimate does not know that it has a limit */
    if (!isnan(waiting))
        put(&sentence, ", %s waiting", share_words(waiting).text);
    put(&sentence,
        "; %s in all, %s in the thread that spends most there. No allocator can give back more of "
        "it; what one changes outside its own calls (caches, page faults) comes on top.",
        time_words(measures[MEASURE_alloc_ns].median).text, time_words(most).text);
}
