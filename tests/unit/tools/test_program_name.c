/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <program_name.h>

#include <string.h>

static void expect(const char *name, const char *command_line, const char *executable)
{
    struct malloctap_header header = {0};
    memcpy(header.command_line, command_line, strnlen(command_line, sizeof header.command_line - 1));
    memcpy(header.executable, executable, strnlen(executable, sizeof header.executable - 1));
    assert_string_equal(program_name(&header).text, name);
}

static void a_program_has_the_name_that_it_was_called_by(void **state)
{
    (void)state;
    expect("redis-server", "redis-server --port 1", "/usr/bin/redis-check-rdb");
    expect("python3", "/usr/bin/python3 -c 'print(1)'", "/usr/bin/python3.11");
    expect("sh", "./sh", "/usr/bin/dash");
}

static void without_a_name_it_has_that_of_its_file(void **state)
{
    (void)state;
    expect("dash", "", "/usr/bin/dash");
    expect("program", "'my program' x", "/home/me/program");
    expect("", "", "");
}

static void a_name_that_fills_its_field_is_cut(void **state)
{
    char full[sizeof((struct malloctap_header *)0)->command_line];
    (void)state;
    memset(full, 'x', sizeof full);
    full[sizeof full - 1] = '\0';
    expect(full, full, "/usr/bin/dash");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_has_the_name_that_it_was_called_by),
        cmocka_unit_test(without_a_name_it_has_that_of_its_file),
        cmocka_unit_test(a_name_that_fills_its_field_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
