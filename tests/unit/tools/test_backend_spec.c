/* SPDX-License-Identifier: MIT */
/* What -b takes, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <backend.h>

#include <string.h>

static char message[4096];

static struct backend_spec parsed(const char *text)
{
    struct backend_spec spec;
    int failed = backend_spec_parse(text, &spec, message, sizeof message);
    if (failed)
        fail_msg("%s: %s", text, message);
    return spec;
}

static void refused(const char *text, const char *why)
{
    struct backend_spec spec;
    assert_int_equal(backend_spec_parse(text, &spec, message, sizeof message), -1);
    if (!strstr(message, why))
        fail_msg("%s: '%s' does not say '%s'", text, message, why);
    assert_null(strchr(message, '\n'));
}

static void setting_equal(const struct backend_settings *settings, size_t i, const char *key,
                          const char *value)
{
    assert_true(i < settings->count);
    assert_string_equal(settings->rows[i].key, key);
    assert_string_equal(settings->rows[i].value, value);
}

static void a_name_alone(void **state)
{
    struct backend_spec spec = parsed("libc");
    assert_string_equal(spec.name, "libc");
    assert_string_equal(spec.backend, "libc");
    assert_int_equal(spec.options.count + spec.environment.count, 0);
    backend_spec_deinit(&spec);
}

static void environment_behind(void **state)
{
    struct backend_spec spec =
        parsed("one-lock=libc,MALLOC_ARENA_MAX=1,GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc."
               "malloc.check=1,_X=");
    assert_string_equal(spec.name, "one-lock");
    assert_string_equal(spec.backend, "libc");
    assert_int_equal(spec.environment.count, 3);
    setting_equal(&spec.environment, 0, "MALLOC_ARENA_MAX", "1");
    setting_equal(&spec.environment, 1, "GLIBC_TUNABLES",
                  "glibc.malloc.tcache_count=0:glibc.malloc.check=1");
    setting_equal(&spec.environment, 2, "_X", "");
    backend_spec_deinit(&spec);
}

static void options_of_the_backend(void **state)
{
    struct backend_spec spec = parsed("mtmalloc,chunk=64,doublefree=1,LANG=C");
    assert_string_equal(spec.name, "mtmalloc,chunk=64,doublefree=1,LANG=C");
    assert_string_equal(spec.backend, "mtmalloc");
    setting_equal(&spec.options, 0, "chunk", "64");
    setting_equal(&spec.options, 1, "doublefree", "1");
    setting_equal(&spec.environment, 0, "LANG", "C");
    backend_spec_deinit(&spec);
}

static void escapes(void **state)
{
    struct backend_spec spec = parsed("libc,A=1\\,2,B=back\\\\slash,C=a\\b");
    setting_equal(&spec.environment, 0, "A", "1,2");
    setting_equal(&spec.environment, 1, "B", "back\\slash");
    setting_equal(&spec.environment, 2, "C", "a\\b"); /* no escape: as it is */
    backend_spec_deinit(&spec);
}

static void paths_may_have_equal_signs(void **state)
{
    struct backend_spec spec = parsed("/opt/a=b/libx.so");
    assert_string_equal(spec.backend, "/opt/a=b/libx.so");
    backend_spec_deinit(&spec);
    spec = parsed("x=/opt/a=b/libx.so");
    assert_string_equal(spec.name, "x");
    assert_string_equal(spec.backend, "/opt/a=b/libx.so");
    backend_spec_deinit(&spec);
}

static void mistakes(void **state)
{
    refused("", "names no backend");
    refused("name=", "names no backend");
    refused("libc,", "not KEY=VALUE");
    refused("libc,MALLOC_ARENA_MAX", "not KEY=VALUE");
    refused("libc,=1", "not KEY=VALUE");
    refused("libc,arena=1", "no option 'arena'");
    refused("jemalloc,narenas=1", "no option 'narenas'");
    refused("mtmalloc,chunks=64", "it has chunk doublefree debugpattern initbuffer");
    refused("mtmalloc,chunk=8", "must be 9 to 256");
    refused("mtmalloc,chunk=257", "must be 9 to 256");
    refused("mtmalloc,chunk=", "must be 9 to 256");
    refused("mtmalloc,doublefree=yes", "must be 0 to 1");
    refused("libc,LD_PRELOAD=x.so", "cannot be set");
}

static void backends_are_found(void **state)
{
    struct backend backend;
    assert_int_equal(backend_init("own", &backend, message, sizeof message), 0);
    assert_string_equal(backend.library, "");
    backend_deinit(&backend);
    assert_int_equal(backend_init("nosuch", &backend, message, sizeof message), -1);
    assert_non_null(strstr(message, "own, libc, mtmalloc"));
    assert_int_equal(backend_init("/nonexistent/lib.so", &backend, message, sizeof message), -1);
    assert_non_null(strstr(message, "No such file"));
    assert_int_equal(backend_init("/proc/self/exe", &backend, message, sizeof message), -1);
    assert_non_null(strstr(message, "defines no malloc"));
    assert_int_equal(backend_init("/etc/passwd", &backend, message, sizeof message), -1);
    assert_non_null(strstr(message, "not a shared library"));
}

static void preload_is_a_list(void **state)
{
    assert_true(preload_can_carry("/usr/lib/libx.so.1"));
    assert_false(preload_can_carry("/home/a b/libx.so"));
    assert_false(preload_can_carry("/home/a:b/libx.so"));
    assert_false(preload_can_carry("/home/$LIB/libx.so"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_alone),
        cmocka_unit_test(environment_behind),
        cmocka_unit_test(options_of_the_backend),
        cmocka_unit_test(escapes),
        cmocka_unit_test(paths_may_have_equal_signs),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(backends_are_found),
        cmocka_unit_test(preload_is_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
