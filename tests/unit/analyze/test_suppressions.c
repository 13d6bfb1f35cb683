/* SPDX-License-Identifier: MIT */
/* Suppression files: what is a pattern, what it matches. */
#include "suppressions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void patterns_match_as_in_leak_sanitizer(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"foo", "foo", true},
        {"foo", "a_foo_b", true},
        {"foo", "fo", false},
        {"^foo", "foobar", true},
        {"^foo", "a_foo", false},
        {"foo$", "a_foo", true},
        {"foo$", "foobar", false},
        {"foo$", "foofoo", true},
        {"^foo$", "foo", true},
        {"^foo$", "foofoo", false},
        {"a*b", "xaxxbx", true},
        {"a*b", "xbxxa", false},
        {"^a*b$", "ab", true},
        {"^a*b$", "a_b_b", true},
        {"^a*b$", "a_b_c", false},
        {"^a*b*c$", "abbc", true},
        {"^ab*b$", "ab", false},
        {"*", "anything", true},
        {"^*$", "", true},
        {"operator[]", "std::map::operator[]", true}, /* brackets and ? are themselves */
        {"a?c", "abc", false},
        {"a$b", "xa$b", true}, /* only at the end is $ special, and ^ only at the beginning */
        {"a^b", "a^b", true},
        {"/libz.so", "/usr/lib/libz.so.1", true},
        {"FOO", "foo", false},
        {"foo", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (suppression_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].text ? cases[i].text : "(none)");
}

static void comments_and_blanks_are_skipped(void **state)
{
    static const char text[] = "# known\n\n  leak:one  \r\n\t# more\nleak: two words\nleak:last";
    struct suppressions list = {0};
    struct malloctap_error error;
    assert_int_equal(suppressions_parse(&list, "x", text, sizeof text - 1, &error), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.patterns[0], "one");
    assert_string_equal(list.patterns[1], "two words");
    assert_string_equal(list.patterns[2], "last");
    suppressions_deinit(&list);
}

static void what_is_no_suppression_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"leak:a\nrace:b\n", "known.txt: line 2 "},
        {"foo\n", "line 1 is not 'leak:PATTERN'"},
        {"\n\nleak:  \n", "line 3 has no pattern"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct suppressions list = {0};
        struct malloctap_error error;
        const char *text = cases[i].text;
        assert_int_equal(suppressions_parse(&list, "known.txt", text, strlen(text), &error), -1);
        if (!strstr(error.text, cases[i].words))
            fail_msg("said: %s", error.text);
        suppressions_deinit(&list);
    }
}

static void zero_bytes_are_no_pattern(void **state)
{
    static const char text[] = "leak:a\0b\n";
    struct suppressions list = {0};
    struct malloctap_error error;
    assert_int_equal(suppressions_parse(&list, "x", text, sizeof text - 1, &error), -1);
    suppressions_deinit(&list);
}

static void files_are_read_or_the_reason_is_said(void **state)
{
    struct suppressions list = {0};
    struct malloctap_error error;
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_suppressions.%d", getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("leak:one\n", file);
    fclose(file);
    assert_int_equal(suppressions_read(&list, path, &error), 0);
    assert_int_equal(suppressions_read(&list, path, &error), 0); /* a second file adds */
    assert_int_equal(list.count, 2);
    unlink(path);
    assert_int_equal(suppressions_read(&list, path, &error), -1);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(suppressions_read(&list, "/tmp", &error), -1);
    suppressions_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_in_leak_sanitizer),
        cmocka_unit_test(comments_and_blanks_are_skipped),
        cmocka_unit_test(what_is_no_suppression_is_named_with_its_line),
        cmocka_unit_test(zero_bytes_are_no_pattern),
        cmocka_unit_test(files_are_read_or_the_reason_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
