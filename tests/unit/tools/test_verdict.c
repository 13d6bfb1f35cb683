/* SPDX-License-Identifier: MIT */
/* What is claimed of runs, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <verdict.h>

#include <math.h>
#include <string.h>

#define GIB 1073741824.0

enum { RUNS = 8 };

/* Runs of `seconds` and `gib`, each a little different: by `noise`, a share. */
static struct verdict_sample sample(const char *name, struct measures *runs, size_t count,
                                    double seconds, double gib, double noise)
{
    static const double steps[RUNS] = {-0.9, 0.4, -0.1, 1, -0.5, 0.2, -1, 0.7};
    for (size_t i = 0; i < count; i++) {
        for (int m = 0; m < MEASURES; m++)
            runs[i].value[m] = NAN;
        runs[i].value[MEASURE_wall_ns] = seconds * 1e9 * (1 + noise * steps[i]);
        runs[i].value[MEASURE_peak_rss_bytes] = gib * GIB * (1 + noise * steps[(i + 3) % RUNS]);
    }
    return (struct verdict_sample){name, runs, count};
}

static struct verdict reached(size_t count, double seconds, double gib, double noise)
{
    struct measures base_runs[RUNS], runs[RUNS];
    struct verdict_sample base = sample("libc", base_runs, count, 30, 12, noise);
    struct verdict_sample other = sample("mtmalloc", runs, count, seconds, gib, noise);
    struct verdict verdict;
    verdict_reach(&base, &other, &verdict);
    return verdict;
}

static void says(struct verdict verdict, const char *text)
{
    assert_string_equal(verdict.text, text);
}

static void trades(void **state)
{
    says(reached(RUNS, 20.1, 16, 0.01),
         "mtmalloc: 9.9 s (33 %) faster for 4.0 GiB (33 %) more memory: 2.5 s a GiB");
    says(reached(RUNS, 36, 8, 0.01),
         "mtmalloc: 6.0 s (20 %) slower for 4.0 GiB (33 %) less memory: 1.5 s a GiB");
}

static void wins_and_losses(void **state)
{
    says(reached(RUNS, 27, 9, 0.01),
         "mtmalloc: 3.0 s (10 %) faster, and 3.0 GiB (25 %) less memory");
    says(reached(RUNS, 33, 15, 0.01),
         "mtmalloc: 3.0 s (10 %) slower, and 3.0 GiB (25 %) more memory");
    says(reached(RUNS, 27, 12, 0.01),
         "mtmalloc: 3.0 s (10 %) faster, no difference in memory to be seen");
    says(reached(RUNS, 30, 9, 0.01),
         "mtmalloc: no difference in time to be seen, and 3.0 GiB (25 %) less memory");
}

static void nothing_to_see(void **state)
{
    struct verdict verdict = reached(RUNS, 30, 12, 0.001);
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
    assert_true(strncmp(verdict.text, "mtmalloc: no difference to be seen (time -0.", 44) == 0);
    assert_null(strstr(verdict.text, "would take"));
}

static void too_noisy(void **state)
{
    struct verdict verdict = reached(RUNS, 28.5, 12, 0.2);
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
    assert_true(verdict.runs_needed > 50 && verdict.runs_needed < 1000);
    assert_non_null(strstr(verdict.text, "to see 5.0 % would take about"));
}

static void too_few(void **state)
{
    struct verdict verdict = reached(3, 20, 16, 0.001);
    assert_false(verdict.measures[MEASURE_wall_ns].differs);
    says(verdict, "mtmalloc: 3 runs cannot tell (by the medians 33 % faster); it takes 5 at least: "
                  "-n 5");
    says(reached(0, 20, 16, 0.001), "mtmalloc: no run to compare");
}

static void unknown_stays_unknown(void **state)
{
    struct verdict verdict = reached(RUNS, 20, 16, 0.01);
    assert_true(isnan(verdict.measures[MEASURE_alloc_ns].median));
    assert_true(isnan(verdict.measures[MEASURE_alloc_ns].share));
    assert_false(verdict.measures[MEASURE_alloc_ns].differs);
}

static void not_different_from_itself(void **state)
{
    struct measures runs[RUNS];
    struct verdict_sample base = sample("libc", runs, RUNS, 30, 12, 0.1);
    struct verdict verdict;
    verdict_reach(&base, &base, &verdict);
    assert_string_equal(verdict.text, "");
    assert_true(isnan(verdict.measures[MEASURE_wall_ns].difference.difference));
    assert_false(isnan(verdict.measures[MEASURE_wall_ns].interval.low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trades),
        cmocka_unit_test(wins_and_losses),
        cmocka_unit_test(nothing_to_see),
        cmocka_unit_test(too_noisy),
        cmocka_unit_test(too_few),
        cmocka_unit_test(unknown_stays_unknown),
        cmocka_unit_test(not_different_from_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
