/* SPDX-License-Identifier: MIT */
#include "emit.h"
#include "emit_utf8.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void figures(void **state)
{
    assert_string_equal(emit_count(0).text, "0");
    assert_string_equal(emit_count(999).text, "999");
    assert_string_equal(emit_count(1234567.4).text, "1,234,567");
    assert_string_equal(emit_count(-1000).text, "-1,000");
    assert_string_equal(emit_count(-0.2).text, "0");
    assert_string_equal(emit_count(18446744073709551615.0).text, "18,446,744,073,709,551,616");
    assert_string_equal(emit_size(0).text, "0");
    assert_string_equal(emit_size(1023).text, "1023");
    assert_string_equal(emit_size(1024).text, "1.0K");
    assert_string_equal(emit_size(1023.9 * 1024).text, "1.0M");
    assert_string_equal(emit_size(300.0 * 1048576).text, "300M");
    assert_string_equal(emit_size(18446744073709551615.0).text, "16.0E");
    assert_string_equal(emit_duration(850).text, "850 ns");
    assert_string_equal(emit_duration(12345).text, "12.3 us");
    assert_string_equal(emit_duration(999.96e3).text, "1.0 ms");
    assert_string_equal(emit_duration(1.2346e9).text, "1.235 s");
    assert_string_equal(emit_duration(200e9).text, "3 min 20 s");
    assert_string_equal(emit_percent(0.1234).text, "12.3 %");
    assert_string_equal(emit_percent(0.0004).text, "<0.1 %");
    assert_string_equal(emit_percent(0).text, "0.0 %");
}

static void assert_repaired(const char *text, bool printable, const char *expected)
{
    char *repaired = utf8_repaired(text, printable);
    assert_string_equal(repaired, expected);
    free(repaired);
}

#define BAD "\xef\xbf\xbd"

static void any_bytes_become_utf8(void **state)
{
    assert_repaired("plain", true, "plain");
    assert_repaired("gr\xc3\xbc\xc3\x9f", true, "gr\xc3\xbc\xc3\x9f");
    assert_repaired("a\xff"
                    "b",
                    false, "a" BAD "b");
    assert_repaired("cut \xe2\x82", false, "cut " BAD BAD);      /* at the end */
    assert_repaired("\xc0\xaf", false, BAD BAD);                 /* overlong */
    assert_repaired("\xed\xa0\x80", false, BAD BAD BAD);         /* surrogate */
    assert_repaired("\xf4\x90\x80\x80", false, BAD BAD BAD BAD); /* too large */
    assert_repaired("\033[31m", true, BAD "[31m");
    assert_repaired("\033[31m\n", false, "\033[31m\n");
    assert_int_equal(utf8_width("gr\xc3\xbc\xc3\x9f"), 4);
}

/* What `print` writes, as one text. */
static char *written(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(out);
    fclose(out);
    return text;
}

static void print_csv(FILE *out)
{
    struct emit_csv csv = {out, false};
    emit_csv_text(&csv, "a,b");
    emit_csv_text(&csv, "say \"hi\"");
    emit_csv_text(&csv, NULL);
    emit_csv_text(&csv, "two\nlines");
    emit_csv_number(&csv, 2.5);
    emit_csv_number(&csv, NAN);
    emit_csv_count(&csv, 7);
    emit_csv_end(&csv);
    emit_csv_text(&csv, "next");
    emit_csv_end(&csv);
}

static void csv_is_quoted(void **state)
{
    char *text = written(print_csv);
    assert_string_equal(text, "\"a,b\",\"say \"\"hi\"\"\",,\"two\nlines\",2.5,,7\r\nnext\r\n");
    free(text);
}

static void print_json(FILE *out)
{
    json_object *array = json_object_new_array();
    json_object_array_add(array, emit_json_number(3));
    json_object_array_add(array, emit_json_number(2.5));
    json_object_array_add(array, emit_json_number(100));
    json_object_array_add(array, emit_json_number(INFINITY));
    json_object_array_add(array, emit_json_text("\xff/\"\n"));
    json_object_array_add(array, emit_json_count(UINT64_MAX));
    emit_json_print(array, out);
}

static void json_is_valid_and_short(void **state)
{
    char *text = written(print_json);
    json_object *parsed = json_tokener_parse(text);
    assert_non_null(parsed);
    assert_non_null(strstr(text, "3,"));
    assert_non_null(strstr(text, "2.5,"));
    assert_non_null(strstr(text, "100,"));
    assert_non_null(strstr(text, "null"));
    assert_string_equal(json_object_get_string(json_object_array_get_idx(parsed, 4)), BAD "/\"\n");
    assert_non_null(strstr(text, "18446744073709551615"));
    json_object_put(parsed);
    free(text);
}

static void print_table(FILE *out)
{
    static const struct emit_column columns[] = {{"name", .left = true}, {"n"}};
    struct emit_table *table = emit_table_create(columns, 2);
    emit_table_cell(table, "gr\xc3\xbc\xc3\x9f");
    emit_table_cell(table, "1");
    emit_table_cell(table, "a\tb");
    emit_table_cell(table, "1,000");
    emit_table_print(table, out);
    emit_table_destroy(table);
}

static void tables_align(void **state)
{
    char *text = written(print_table);
    assert_string_equal(text, "name      n\n"
                              "gr\xc3\xbc\xc3\x9f      1\n"
                              "a" BAD "b   1,000\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures),       cmocka_unit_test(any_bytes_become_utf8),
        cmocka_unit_test(csv_is_quoted), cmocka_unit_test(json_is_valid_and_short),
        cmocka_unit_test(tables_align),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
