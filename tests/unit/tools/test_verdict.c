/* SPDX-License-Identifier: MIT */
/* What is claimed of runs, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <verdict_words.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GIB 1073741824.0

enum { ROUNDS = 8, SIDES = 6 };

/* Runs of `seconds` and `gib`, each a little different: by `noise`, a share. */
static struct verdict_series series(const char *name, struct measures *rounds, size_t count,
                                    double seconds, double gib, double noise)
{
    static const double steps[ROUNDS] = {-0.9, 0.4, -0.1, 1, -0.5, 0.2, -1, 0.7};
    static size_t turn;
    turn += 3;
    for (size_t i = 0; i < count; i++) {
        measures_clear(&rounds[i]);
        rounds[i].value[MEASURE_wall_ns] = seconds * 1e9 * (1 + noise * steps[(i + turn) % ROUNDS]);
        rounds[i].value[MEASURE_peak_rss_bytes] =
            gib * GIB * (1 + noise * steps[(i + turn + 3) % ROUNDS]);
    }
    return (struct verdict_series){name, rounds};
}

static struct verdict reached(size_t count, double seconds, double gib, double noise)
{
    struct measures rounds[2][ROUNDS];
    struct verdict_series both[] = {series("libc", rounds[0], count, 30, 12, noise),
                                    series("mtmalloc", rounds[1], count, seconds, gib, noise)};
    struct verdict verdicts[2];
    verdicts_reach(both, 2, count, verdicts);
    return verdicts[1];
}

static const char *words(struct verdict verdict)
{
    static char text[512];
    verdict_words(&verdict, text, sizeof text);
    return text;
}

static void says(struct verdict verdict, const char *text)
{
    assert_string_equal(words(verdict), text);
}

static void says_in_part(struct verdict verdict, const char *part)
{
    if (!strstr(words(verdict), part))
        print_error("%s\n", words(verdict));
    assert_non_null(strstr(words(verdict), part));
}

static void trades(void **state)
{
    says(reached(ROUNDS, 20.1, 16, 0.001),
         "mtmalloc: 9.9 s (33 %) faster for 4.0 GiB (33 %) more memory: 2.5 s a GiB");
    says(reached(ROUNDS, 36, 8, 0.001),
         "mtmalloc: 6.0 s (20 %) slower for 4.0 GiB (33 %) less memory: 1.5 s a GiB");
}

static void wins_and_losses(void **state)
{
    says(reached(ROUNDS, 27, 9, 0.001),
         "mtmalloc: 3.0 s (10 %) faster, and 3.0 GiB (25 %) less memory");
    says(reached(ROUNDS, 33, 15, 0.001),
         "mtmalloc: 3.0 s (10 %) slower, and 3.0 GiB (25 %) more memory");
    says_in_part(reached(ROUNDS, 27, 12, 0.01), " faster, no difference in memory to be seen (");
    says_in_part(reached(ROUNDS, 30, 9, 0.01), "no difference in time to be seen (");
    says_in_part(reached(ROUNDS, 30, 9, 0.01), " (25 %) less memory");
}

/* Memory may be the same to the page: then a page more is sure, but nothing to speak of. */
static void no_price_for_next_to_nothing(void **state)
{
    says(reached(ROUNDS, 20.1, 12.0001, 0),
         "mtmalloc: 9.9 s (33 %) faster, no difference in memory to be seen (+0.0 to +0.0 %)");
    says(reached(ROUNDS, 20.1, 12.06, 0),
         "mtmalloc: 9.9 s (33 %) faster, and 61.4 MiB (0.5 %) more memory");
}

static void nothing_to_see(void **state)
{
    struct verdict verdict = reached(ROUNDS, 30, 12, 0.001);
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
    says_in_part(verdict, "mtmalloc: no difference to be seen (time -0.");
    says_in_part(verdict, ", memory -0.");
    assert_null(strstr(words(verdict), "would take"));
    says(reached(ROUNDS, 30, 12, 0),
         "mtmalloc: no difference to be seen (time +0.0 to +0.0 %, memory +0.0 to +0.0 %)");
}

static void memory_that_is_not_known(void **state)
{
    says(reached(ROUNDS, 20.1, NAN, 0.001), "mtmalloc: 9.9 s (33 %) faster, memory not known");
    says_in_part(reached(ROUNDS, 30, NAN, 0.001), ", memory not known)");
}

/* Where the first one's runs vary by more than it takes, so does the difference. */
static void nothing_is_faster_than_at_once(void **state)
{
    struct verdict_measure measure = {
        .median = 2, .share = -0.5, .difference = {.difference = -2, .interval = {-5, 3}}};
    struct statistics_interval range = verdict_share_interval(&measure);
    assert_true(range.low == -1);
    assert_true(range.high == 0.75);
    measure.difference.interval.low = NAN;
    assert_true(isnan(verdict_share_interval(&measure).low));
}

static void too_noisy(void **state)
{
    struct verdict verdict = reached(ROUNDS, 28.5, 12, 0.2);
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
    assert_true(verdict.rounds_needed > 2 * ROUNDS);
    says_in_part(verdict, "; the runs vary too much for so few: to see ");
    says_in_part(verdict, " % of time would take about ");
}

static void too_few(void **state)
{
    struct verdict verdict = reached(3, 20, 16, 0);
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
    says(verdict,
         "mtmalloc: 3 rounds cannot tell (by the medians 33 % faster); it takes 5 at least");
    says(reached(0, 20, 16, 0), "mtmalloc: no round to compare");
    assert_int_equal(verdict_rounds_least(1), 5);
    assert_int_equal(verdict_rounds_least(2), 5);
    assert_int_equal(verdict_rounds_least(3), 6);
    assert_int_equal(verdict_rounds_least(20), 7);
    assert_int_equal(verdict_rounds_least(6), 6);
}

static void unknown_stays_unknown(void **state)
{
    struct verdict verdict = reached(ROUNDS, 20, 16, 0.01);
    assert_true(isnan(verdict.measures[MEASURE_alloc_ns].median));
    assert_true(isnan(verdict.measures[MEASURE_alloc_ns].share));
    assert_true(isnan(verdict.measures[MEASURE_alloc_ns].corrected));
    assert_false(verdict.measures[MEASURE_alloc_ns].differs);
}

static void runs_that_do_not_count(void **state)
{
    struct measures rounds[2][ROUNDS];
    struct verdict_series both[] = {series("libc", rounds[0], ROUNDS, 30, 12, 0.01),
                                    series("other", rounds[1], ROUNDS, 20, 12, 0.01)};
    struct verdict verdicts[2];
    measures_clear(&rounds[0][2]);
    measures_clear(&rounds[1][5]);
    verdicts_reach(both, 2, ROUNDS, verdicts);
    assert_int_equal(verdicts[0].runs, ROUNDS - 1);
    assert_int_equal(verdicts[1].rounds, ROUNDS - 2);
    assert_true(verdicts[1].measures[MEASURE_wall_ns].differs);
}

/* What is sure between two is less so when it is the best of many. */
static void many_backends_are_many_questions(void **state)
{
    struct measures rounds[SIDES][ROUNDS];
    struct verdict_series sides[SIDES];
    struct verdict verdicts[SIDES];
    for (size_t i = 0; i < SIDES; i++)
        sides[i] = series("one", rounds[i], ROUNDS, 30, 12, 0.01);
    for (size_t i = 0; i < ROUNDS; i++) /* faster in all rounds, by less than they differ */
        rounds[1][i].value[MEASURE_wall_ns] = rounds[0][i].value[MEASURE_wall_ns] * 0.989;
    verdicts_reach(sides, 2, ROUNDS, verdicts);
    assert_true(verdicts[1].measures[MEASURE_wall_ns].differs);
    double alone = verdicts[1].measures[MEASURE_wall_ns].corrected;
    verdicts_reach(sides, SIDES, ROUNDS, verdicts);
    assert_true(verdicts[1].measures[MEASURE_wall_ns].corrected > 2 * alone);
    assert_false(verdicts[1].measures[MEASURE_wall_ns].differs);
    says_in_part(verdicts[1], "one: time too close to call (-1.");
}

static void nothing_is_said_of_the_first(void **state)
{
    struct measures rounds[ROUNDS];
    struct verdict_series alone = series("libc", rounds, ROUNDS, 30, 12, 0.1);
    struct verdict verdict;
    verdicts_reach(&alone, 1, ROUNDS, &verdict);
    says(verdict, "");
    assert_true(isnan(verdict.measures[MEASURE_wall_ns].difference.difference));
    assert_false(isnan(verdict.measures[MEASURE_wall_ns].interval.low));
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
}

static void ceiling(void **state)
{
    struct measures rounds[ROUNDS];
    struct verdict_series alone = series("libc", rounds, ROUNDS, 30, 12, 0);
    struct verdict verdict;
    char text[512];
    verdicts_reach(&alone, 1, ROUNDS, &verdict);
    ceiling_words(&verdict, text, sizeof text);
    assert_non_null(strstr(text, "not known"));
    for (size_t i = 0; i < ROUNDS; i++) {
        rounds[i].value[MEASURE_alloc_share] = 0.12;
        rounds[i].value[MEASURE_alloc_ns] = 12e9;
        rounds[i].value[MEASURE_wait_share] = 0.03;
        rounds[i].value[MEASURE_alloc_thread_max_ns] = 5e9;
    }
    verdicts_reach(&alone, 1, ROUNDS, &verdict);
    ceiling_words(&verdict, text, sizeof text);
    const char *start =
        "The ceiling: under libc, malloc and free take at most about 12 % of the time "
        "that threads run or wait there (12.0 to 12.0 %), 3.0 % waiting; 12.0 s in "
        "all, 5.0 s in the thread that spends most there. No allocator can give "
        "back more of it;";
    assert_memory_equal(text, start, strlen(start));
}

/*
 * The same program compared with itself, again and again, on a machine with noise of its own: a
 * claim of either kind in hardly one of twenty comparisons.
 */
static void the_same_is_not_called_different(void **state)
{
    enum { COMPARISONS = 40, MANY_ROUNDS = 10, BACKENDS = 3 };
    struct measures rounds[BACKENDS][MANY_ROUNDS];
    struct verdict_series sides[BACKENDS];
    struct verdict verdicts[BACKENDS];
    uint64_t random = 7;
    size_t claims = 0;
    for (size_t comparison = 0; comparison < COMPARISONS; comparison++) {
        double slow = 1;
        for (size_t i = 0; i < MANY_ROUNDS * BACKENDS; i++) {
            struct measures *run = &rounds[i % BACKENDS][i / BACKENDS];
            random = random * 6364136223846793005u + 1442695040888963407u;
            double one = (double)(random >> 40) / 16777216, two = (double)(random >> 16 & 0xffff);
            slow = 0.7 * slow + 0.3 * (1 + 0.1 * one);
            measures_clear(run);
            run->value[MEASURE_wall_ns] = 1e9 * slow * (1 + (one > 0.9 ? one : 0) * 0.2);
            run->value[MEASURE_peak_rss_bytes] = 4096 * (10000 + floor(two / 8192));
        }
        for (size_t i = 0; i < BACKENDS; i++)
            sides[i] = (struct verdict_series){"libc", rounds[i]};
        verdicts_reach(sides, BACKENDS, MANY_ROUNDS, verdicts);
        bool claimed = false;
        for (size_t i = 1; i < BACKENDS; i++)
            for (int m = 0; m < MEASURES; m++)
                claimed |= verdicts[i].measures[m].differs;
        claims += claimed;
    }
    assert_true(claims <= COMPARISONS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trades),
        cmocka_unit_test(wins_and_losses),
        cmocka_unit_test(no_price_for_next_to_nothing),
        cmocka_unit_test(nothing_to_see),
        cmocka_unit_test(memory_that_is_not_known),
        cmocka_unit_test(nothing_is_faster_than_at_once),
        cmocka_unit_test(too_noisy),
        cmocka_unit_test(too_few),
        cmocka_unit_test(unknown_stays_unknown),
        cmocka_unit_test(runs_that_do_not_count),
        cmocka_unit_test(many_backends_are_many_questions),
        cmocka_unit_test(nothing_is_said_of_the_first),
        cmocka_unit_test(ceiling),
        cmocka_unit_test(the_same_is_not_called_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
