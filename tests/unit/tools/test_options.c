/* SPDX-License-Identifier: MIT */
/* The command line: values, option tables, what is said of mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "complaints.h"

#include <options.h>

#include <getopt.h>
#include <string.h>

static void counts(void **state)
{
    uint64_t value = 7;
    assert_true(parse_count("0", &value) && value == 0);
    assert_true(parse_count("18446744073709551615", &value) && value == UINT64_MAX);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "1k", "0x10", "1.5", "18446744073709551616"};
    value = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(parse_count(bad[i], &value));
    assert_int_equal(value, 7);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"512K", 512 << 10},
        {"512k", 512 << 10},
        {"1.5M", 3 << 19},
        {"64MiB", 64 << 20},
        {"2GB", 2ULL << 30},
        {"1T", 1ULL << 40},
        {"100B", 100},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {"",       "K",   "1X",  "1KK", "-1K",        "1e3",
                                      "1.2.3K", "1K ", "inf", "nan", "9999999999T"};
    uint64_t value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(parse_size(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(parse_size(bad[i], &value));
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"5", 5000000000},     {"1.5s", 1500000000},      {"250ms", 250000000},
        {"10us", 10000},       {"2m", 120000000000},      {"1min", 60000000000},
        {"1h", 3600000000000}, {"0.001000001s", 1000001},
    };
    static const char *const bad[] = {"", "s", "5x", "-5", "1 s", "5sec", "9999999999999h"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(parse_duration_ns(good[i].text, &ns));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(parse_duration_ns(bad[i], &ns));
}

/* ---- tables --------------------------------------------------------------------------------- */

enum { LINES = 'n', QUIET = 'q', WIDE = OPTION_LONG };

static const struct option_row rows[] = {{LINES, "lines", "N", "how many"},
                                         {QUIET, "quiet", NULL, "no words"},
                                         {WIDE, "wide", NULL, "wider"},
                                         {0}};
static const struct command_usage views = {"view", "FILE", NULL, rows};
static const struct command_usage runs = {"start", "PROGRAM", NULL, rows, .program_follows = true};

/* The first key of a new command line. */
static int first_key(const struct command_usage *usage, int argc, const char *const *argv)
{
    optind = 0; /* start over, as glibc has it */
    return options_next(usage, argc, (char **)argv);
}

static void options_are_taken(void **state)
{
    const char *argv[] = {"view", "-qn5", "file", "--wide", "--lines=7", NULL};
    char **words = (char **)argv;
    assert_int_equal(first_key(&views, 5, argv), QUIET);
    assert_int_equal(options_next(&views, 5, words), LINES);
    assert_string_equal(optarg, "5");
    assert_int_equal(options_next(&views, 5, words), WIDE);
    assert_int_equal(options_next(&views, 5, words), LINES);
    assert_string_equal(optarg, "7");
    assert_int_equal(options_next(&views, 5, words), OPTIONS_END);
    assert_string_equal(argv[optind], "file");
}

static void options_of_the_program_are_its_own(void **state)
{
    const char *argv[] = {"start", "-q", "program", "-n", "--help", NULL};
    assert_int_equal(first_key(&runs, 5, argv), QUIET);
    assert_int_equal(options_next(&runs, 5, (char **)argv), OPTIONS_END);
    assert_int_equal(optind, 2);
    const char *dashes[] = {"start", "--", "-q", NULL};
    assert_int_equal(first_key(&runs, 3, dashes), OPTIONS_END);
    assert_int_equal(optind, 2);
}

static void mistake(const char *word, const char *said)
{
    const char *argv[] = {"view", word, NULL};
    complaints_catch();
    assert_int_equal(first_key(&views, 2, argv), OPTIONS_BAD);
    assert_string_equal(complaints_caught(), said);
}

static void mistakes_are_named(void **state)
{
    mistake("--bogus",
            "malloctap: view: unknown option --bogus; 'malloctap view --help' lists them\n");
    mistake("--bogus=1",
            "malloctap: view: unknown option --bogus; 'malloctap view --help' lists them\n");
    mistake("-x", "malloctap: view: unknown option -x; 'malloctap view --help' lists them\n");
    mistake("-xq", "malloctap: view: unknown option -x; 'malloctap view --help' lists them\n");
    mistake("--quiet=1", "malloctap: view: option --quiet takes no value\n");
    mistake("--lines",
            "malloctap: view: option --lines needs a value; see 'malloctap view --help'\n");
    mistake("-n", "malloctap: view: option -n needs a value; see 'malloctap view --help'\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(options_are_taken),
        cmocka_unit_test(options_of_the_program_are_its_own),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
