/* SPDX-License-Identifier: MIT */
/* The environment that a tapped program gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tap.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct backend backend_of(const char *text)
{
    struct backend backend = {0};
    char message[512];
    if (backend_spec_parse(text, &backend.spec, message, sizeof message))
        fail_msg("%s", message);
    return backend;
}

static const char *value_of(char **environment, const char *name)
{
    const char *value = NULL;
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            assert_null(value); /* once */
            value = *environment + length + 1;
        }
    return value;
}

/* Never freed, as its maker says: kept, so that no sanitizer takes it for lost. */
static char **environment_of(const struct tap *tap, pid_t pid)
{
    static char **kept[8];
    static size_t count;
    assert_true(count < sizeof kept / sizeof *kept);
    return kept[count++] = tap_environment(tap, pid, "/bin/it");
}

static void options_are_passed(void **state)
{
    struct backend backend = backend_of("mtmalloc,chunk=64");
    struct tap tap = {.library = "/lib/tap.so", .backend = &backend, .output = "/out/a,b\\c.mtap"};
    tap_set(&tap, "mode", "count");
    tap_set(&tap, "calls", "100");
    char **environment = environment_of(&tap, 42);
    assert_string_equal(value_of(environment, "MALLOCTAP"),
                        "quiet=but:42:/bin/it,backend=mtmalloc,out=/out/a\\,b\\\\c.mtap,mode=count,calls=100,chunk=64");
    assert_string_equal(value_of(environment, "LD_PRELOAD"), "/lib/tap.so");
    backend_deinit(&backend);
}

static void output_may_take_the_pid(void **state)
{
    struct backend backend = backend_of("own");
    struct tap tap = {.library = "/lib/tap.so",
                      .backend = &backend,
                      .output = "/out/malloctap.ls",
                      .output_takes_pid = true};
    char **environment = environment_of(&tap, 42);
    assert_string_equal(value_of(environment, "MALLOCTAP"),
                        "quiet=but:42:/bin/it,backend=own,out=/out/malloctap.ls.42.mtap");
    backend_deinit(&backend);
}

static void preloads_in_order(void **state)
{
    struct backend backend = backend_of("/opt/libfast.so");
    strcpy(backend.library, "/opt/libfast.so");
    struct tap tap = {.library = "/lib/tap.so", .backend = &backend, .output = "/x.mtap"};
    setenv("LD_PRELOAD", "libfirst.so libsecond.so", 1);
    char **environment = environment_of(&tap, 1);
    assert_string_equal(value_of(environment, "LD_PRELOAD"),
                        "/lib/tap.so:/opt/libfast.so:libfirst.so libsecond.so");
    assert_string_equal(value_of(environment, "MALLOCTAP"), "quiet=but:1:/bin/it,backend=libfast.so,out=/x.mtap");
    unsetenv("LD_PRELOAD");
    backend_deinit(&backend);
}

static void everything_else_stays(void **state)
{
    static char one[] = "MALLOC_ARENA_MAX=8", two[] = "odd", three[] = "HOME=/",
                four[] = "MALLOCTAP=old";
    static char *ours[] = {one, two, three, four, NULL};
    char **before = environ;
    environ = ours;
    struct backend backend = backend_of("libc,MALLOC_ARENA_MAX=1,GLIBC_TUNABLES=a.b=0:c.d=1");
    struct tap tap = {.library = "/lib/tap.so", .backend = &backend, .output = "/x.mtap"};
    char **environment = environment_of(&tap, 1);
    environ = before;
    assert_string_equal(environment[0], "MALLOC_ARENA_MAX=1");
    assert_string_equal(environment[1], "odd");
    assert_string_equal(environment[2], "HOME=/");
    assert_string_equal(environment[3], "MALLOCTAP=quiet=but:1:/bin/it,backend=libc,out=/x.mtap");
    assert_string_equal(environment[4], "GLIBC_TUNABLES=a.b=0:c.d=1");
    assert_string_equal(environment[5], "LD_PRELOAD=/lib/tap.so");
    assert_string_equal(environment[6], "ASAN_OPTIONS=verify_asan_link_order=0");
    assert_null(environment[7]);
    assert_string_equal(one, "MALLOC_ARENA_MAX=8");
    backend_deinit(&backend);
}

static void what_the_user_tells_asan_prevails(void **state)
{
    struct backend backend = backend_of("own");
    struct tap tap = {.library = "/lib/tap.so", .backend = &backend, .output = "/x.mtap"};
    setenv("ASAN_OPTIONS", "verify_asan_link_order=1", 1);
    assert_string_equal(value_of(environment_of(&tap, 1), "ASAN_OPTIONS"),
                        "verify_asan_link_order=0:verify_asan_link_order=1");
    unsetenv("ASAN_OPTIONS");
    backend_deinit(&backend);
}

static void a_plain_run_is_not_tapped(void **state)
{
    struct backend backend = backend_of("libc,MALLOC_ARENA_MAX=1");
    struct tap tap = {.backend = &backend};
    unsetenv("MALLOCTAP");
    char **environment = environment_of(&tap, 1);
    assert_null(value_of(environment, "LD_PRELOAD"));
    assert_null(value_of(environment, "MALLOCTAP"));
    assert_null(value_of(environment, "ASAN_OPTIONS"));
    assert_string_equal(value_of(environment, "MALLOC_ARENA_MAX"), "1");
    backend_deinit(&backend);
}

int main(void)
{
    unsetenv("LD_PRELOAD");
    unsetenv("ASAN_OPTIONS");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_passed),
        cmocka_unit_test(output_may_take_the_pid),
        cmocka_unit_test(preloads_in_order),
        cmocka_unit_test(everything_else_stays),
        cmocka_unit_test(what_the_user_tells_asan_prevails),
        cmocka_unit_test(a_plain_run_is_not_tapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
