/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <config/config.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What config_read() says on stderr. */
static char said[4096];

static int take_chunk_only(const char *key, const char *value)
{
    return strcmp(key, "chunk") == 0 && strcmp(value, "64") == 0 ? 0 : -1;
}

static void read_options(const char *options)
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    config_read(options, take_chunk_only);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t length = read(ends[0], said, sizeof said - 1);
    said[length > 0 ? length : 0] = '\0';
    close(ends[0]);
}

static void defaults(void **state)
{
    (void)state;
    read_options(NULL);
    assert_string_equal(said, "");
    assert_string_equal(config.backend, "own");
    assert_string_equal(config.out, "");
    assert_int_equal(config.mode, MALLOCTAP_MODE_SAMPLE);
    assert_int_equal(config.frames, 64);
    assert_int_equal(config.ring, 256 << 20);
    assert_true(config.children);
    assert_int_equal(config_call_units(config.calls, config.bytes) * config.calls, config.bytes);
}

static void every_key(void **state)
{
    (void)state;
    read_options(
        "backend=mtmalloc,mode=count,out=/tmp/x.mtap,calls=100,bytes=3M,frames=256,ring=1G,"
        "walker=libunwind,sandbox=no,children=off,quiet=on,chunk=64");
    assert_string_equal(said, "");
    assert_string_equal(config.backend, "mtmalloc");
    assert_int_equal(config.mode, MALLOCTAP_MODE_COUNT);
    assert_string_equal(config.out, "/tmp/x.mtap");
    assert_int_equal(config.calls, 100);
    assert_int_equal(config.bytes, 3u << 20);
    assert_int_equal(config.frames, 256);
    assert_int_equal(config.ring, 1u << 30);
    assert_int_equal(config.walker, STACK_WALKER_LIBUNWIND);
    assert_int_equal(config.sandbox, SANDBOX_NO);
    assert_false(config.children);
    assert_true(config.quiet);
}

static void escapes(void **state)
{
    (void)state;
    read_options("out=/tmp/a\\,b\\\\c.mtap,calls=7");
    assert_string_equal(config.out, "/tmp/a,b\\c.mtap");
    assert_int_equal(config.calls, 7);
}

static void each_mistake_is_named_once_and_ignored(void **state)
{
    (void)state;
    read_options("callz=7,mode=fast,bytes=12Q,calls=,chunk=65,nonsense,frames=8");
    assert_string_equal(said, "malloctap: unknown option 'callz' in MALLOCTAP; ignored\n"
                              "malloctap: bad value 'fast' for 'mode' in MALLOCTAP; ignored\n"
                              "malloctap: bad value '12Q' for 'bytes' in MALLOCTAP; ignored\n"
                              "malloctap: bad value '' for 'calls' in MALLOCTAP; ignored\n"
                              "malloctap: unknown option 'chunk' in MALLOCTAP; ignored\n"
                              "malloctap: 'nonsense' in MALLOCTAP is not KEY=VALUE; ignored\n");
    assert_int_equal(config.mode, MALLOCTAP_MODE_SAMPLE);
    assert_int_equal(config.calls, 4096);
    assert_int_equal(config.frames, 8);
}

static void numbers_that_overflow_are_bad(void **state)
{
    (void)state;
    read_options("bytes=99999999999999999999,ring=99999999999G");
    assert_non_null(strstr(said, "'bytes'"));
    assert_non_null(strstr(said, "'ring'"));
}

static void zeros_are_mended(void **state)
{
    (void)state;
    read_options("calls=0,bytes=0,frames=0");
    assert_int_equal(config.calls, 4096);
    assert_int_equal(config.bytes, 512 << 10);
    assert_true(config.thin);
    assert_int_equal(config.frames, 1);
    read_options("mode=log");
    assert_int_equal(config.ring, 0);
    assert_true(config.free_stacks);
    read_options("ring=auto,mode=log,free_stacks=off");
    assert_int_equal(config.ring, 0);
    assert_false(config.free_stacks);
    read_options("calls=1,bytes=1");
    assert_false(config.thin);
    assert_int_equal(config_call_units(config.calls, config.bytes), 1);
    read_options("frames=1000");
    assert_int_equal(config.frames, MALLOCTAP_STACK_FRAMES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_key),
        cmocka_unit_test(escapes),
        cmocka_unit_test(each_mistake_is_named_once_and_ignored),
        cmocka_unit_test(numbers_that_overflow_are_bad),
        cmocka_unit_test(zeros_are_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
