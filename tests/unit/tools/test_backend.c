/* SPDX-License-Identifier: MIT */
/* Which backends can be put beneath a program that knows its allocator by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <backend.h>

#include <string.h>

/* What is said against a backend beneath a program; "": nothing. */
static const char *said(const char *name, const char *backend_text)
{
    static char message[8192];
    struct program program;
    struct backend backend;
    if (program_check(name, &program, message, sizeof message) ||
        backend_init(backend_text, &backend, message, sizeof message))
        fail_msg("%s", message);
    *message = '\0';
    int result = backend_check(&backend, &program, message, sizeof message);
    assert_int_equal(result, *message ? -1 : 0);
    backend_deinit(&backend);
    return message;
}

static void any_backend_for_others(void **state)
{
    static const char *const all[] = {"own", "libc", "mtmalloc", OWN_MALLOC, JEMALLOC};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_string_equal(said(SUBJECT, all[i]), "");
}

static void bound_programs_keep_their_allocator(void **state)
{
    assert_string_equal(said(SUBJECT_BOUND, "own"), "");
    assert_string_equal(said(SUBJECT_BOUND, JEMALLOC), "");
}

static void bound_programs_take_no_other(void **state)
{
    static const char *const others[] = {"libc", "mtmalloc", "fast=libc,MALLOC_ARENA_MAX=1",
                                         OWN_MALLOC};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const char *text = said(SUBJECT_BOUND, others[i]);
        assert_non_null(strstr(text, "is bound to libjemalloc.so.2"));
        assert_non_null(strstr(text, "allocx()"));
        assert_non_null(strstr(text, "use -b own"));
        assert_null(strchr(text, '\n'));
    }
    assert_non_null(strstr(said(SUBJECT_BOUND, "fast=libc"), "backend fast,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_backend_for_others),
        cmocka_unit_test(bound_programs_keep_their_allocator),
        cmocka_unit_test(bound_programs_take_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
