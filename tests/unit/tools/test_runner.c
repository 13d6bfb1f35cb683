/* SPDX-License-Identifier: MIT */
/* One run: measured, judged, and nothing of it left. Plain runs of a shell; no tap is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <runner.h>

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct runner_result result;
static struct runner_plan plan;
static const struct backend own = {.spec = {.backend = (char *)"own"}};
static const struct tap untapped = {.backend = &own};

static int plan_reset(void **state)
{
    plan = (struct runner_plan){.path = "/bin/sh", .input = "/dev/null", .grace_ns = 1000000000};
    return 0;
}

static const char *run_shell(const char *script)
{
    static char *argv[4];
    argv[0] = (char *)"sh";
    argv[1] = (char *)"-c";
    argv[2] = (char *)script;
    plan.argv = argv;
    runner_run(&plan, &untapped, folder_path("output"), &result);
    return result.failure;
}

static double value(enum measure measure)
{
    return result.measures.value[measure];
}

static const char *output(void)
{
    static char text[4096];
    FILE *file = fopen(folder_path("output"), "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* The number that a script has written into a file here. */
static pid_t pid_in(const char *name)
{
    int pid = 0;
    FILE *file = fopen(folder_path(name), "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static void time_is_measured(void **state)
{
    assert_string_equal(run_shell("sleep 0.2"), "");
    assert_true(value(MEASURE_wall_ns) >= 200e6);
    assert_true(value(MEASURE_wall_ns) < 5e9);
    assert_true(value(MEASURE_cpu_ns) < 150e6);
    assert_false(value(MEASURE_peak_rss_bytes) < 200e3);
    assert_true(value(MEASURE_minor_faults) > 0);
    assert_true(isnan(value(MEASURE_calls)));
}

static void peak_memory_is_the_programs_own(void **state)
{
    assert_string_equal(run_shell("head -c 50000000 /dev/zero | tail -c 50000000 | wc -c"), "");
    assert_true(value(MEASURE_peak_rss_bytes) > 50e6 && value(MEASURE_peak_rss_bytes) < 80e6);
    assert_string_equal(run_shell("exit 0"), "");
    assert_false(value(MEASURE_peak_rss_bytes) > 8e6);
}

/* The kernel counts what was copied to start the program. */
static void peak_memory_below_ours_is_not_known(void **state)
{
    const size_t size = 64 << 20;
    char *ours = malloc(size);
    explicit_bzero(ours, size);
    assert_string_equal(run_shell("exit 0"), "");
    assert_true(isnan(value(MEASURE_peak_rss_bytes)));
    assert_string_equal(run_shell("head -c 99000000 /dev/zero | tail -c 99000000 | wc -c"), "");
    assert_true(value(MEASURE_peak_rss_bytes) > 99e6);
    free(ours);
}

static void all_descendants_count(void **state)
{
    /* The daemon works after its parent has gone, in a session of its own. */
    assert_string_equal(run_shell("setsid sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done;"
                                  " echo done' & wait; true"),
                        "");
    assert_string_equal(output(), "done\n");
    assert_true(value(MEASURE_user_ns) > 20e6);
}

static void failures_are_named(void **state)
{
    assert_string_equal(run_shell("exit 3"), "ended with exit status 3 (-i: count such runs)");
    assert_non_null(strstr(run_shell("kill -SEGV $$"), "signal 11"));
    plan.any_exit_status = true;
    assert_string_equal(run_shell("exit 3"), "");
    assert_non_null(strstr(run_shell("kill -KILL $$"), "signal 9"));
    plan.path = "/nonexistent";
    assert_non_null(strstr(run_shell(""), "cannot be started: No such file"));
}

static void output_and_input(void **state)
{
    plan.input = folder_write("input", "some words\n", 0600);
    assert_string_equal(run_shell("cat; echo to stderr >&2"), "");
    assert_string_equal(output(), "some words\nto stderr\n");
    plan.input = "/nonexistent";
    assert_non_null(strstr(run_shell("cat"), "cannot be read"));
}

static void too_long(void **state)
{
    plan.timeout_ns = 200000000;
    assert_string_equal(run_shell("sleep 30"), "did not end within 0.2 s (--timeout)");
}

static void nothing_is_left(void **state)
{
    char script[3 * PATH_MAX];
    /* in the group; out of it; deaf to SIGTERM */
    snprintf(script, sizeof script,
             "cd %s; sleep 60 & echo $! >member; setsid sleep 60 & sleep 0.1; echo $! >daemon;"
             "setsid sh -c 'trap \"\" TERM; echo $$ >deaf; while :; do sleep 1; done' & "
             "while [ ! -s deaf ]; do sleep 0.05; done",
             folder);
    assert_string_equal(run_shell(script), "");
    assert_int_equal(kill(pid_in("member"), 0), -1);
    assert_int_equal(kill(pid_in("daemon"), 0), -1);
    assert_int_equal(kill(pid_in("deaf"), 0), -1);
}

static void ready_by_output(void **state)
{
    char message[256];
    assert_int_equal(ready_output_init(&plan.ready, "up and running", message, sizeof message), 0);
    assert_string_equal(run_shell("sleep 0.1; echo up and running; sleep 60"), "");
    assert_true(value(MEASURE_wall_ns) >= 100e6 && value(MEASURE_wall_ns) < 5e9);
    assert_string_equal(output(), "up and running\n");
    assert_string_equal(run_shell("exit 4"), "ended before it was ready (exit status 4)");
    plan.timeout_ns = 200000000;
    assert_string_equal(run_shell("sleep 60"), "was not ready within 0.2 s (--timeout)");
    ready_deinit(&plan.ready);
}

static void ready_by_file(void **state)
{
    char message[256], script[2 * PATH_MAX];
    const char *path = folder_path("ready");
    assert_int_equal(ready_file_init(&plan.ready, path, message, sizeof message), 0);
    snprintf(script, sizeof script, "sleep 0.1; echo >%s; sleep 60", path);
    for (int i = 0; i < 2; i++) { /* it is not in the way of the second */
        assert_string_equal(run_shell(script), "");
        assert_true(value(MEASURE_wall_ns) >= 100e6 && value(MEASURE_wall_ns) < 5e9);
    }
}

/* A runner that is killed takes its program along. */
static void not_even_when_we_are_killed(void **state)
{
    char script[2 * PATH_MAX];
    snprintf(script, sizeof script, "echo $$ >%s; exec sleep 60", folder_path("orphan"));
    pid_t runner = fork();
    if (runner == 0) {
        run_shell(script);
        _exit(0);
    }
    const struct timespec moment = {.tv_nsec = 20000000};
    for (int i = 0; i < 500 && access(folder_path("orphan"), R_OK); i++)
        nanosleep(&moment, NULL);
    nanosleep(&moment, NULL);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    pid_t program = pid_in("orphan");
    for (int i = 0; i < 250 && kill(program, 0) == 0; i++)
        nanosleep(&moment, NULL);
    assert_int_equal(kill(program, 0), -1);
    assert_int_equal(errno, ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(time_is_measured, plan_reset),
        cmocka_unit_test_setup(peak_memory_is_the_programs_own, plan_reset),
        cmocka_unit_test_setup(peak_memory_below_ours_is_not_known, plan_reset),
        cmocka_unit_test_setup(all_descendants_count, plan_reset),
        cmocka_unit_test_setup(failures_are_named, plan_reset),
        cmocka_unit_test_setup(output_and_input, plan_reset),
        cmocka_unit_test_setup(too_long, plan_reset),
        cmocka_unit_test_setup(nothing_is_left, plan_reset),
        cmocka_unit_test_setup(ready_by_output, plan_reset),
        cmocka_unit_test_setup(ready_by_file, plan_reset),
        cmocka_unit_test_setup(not_even_when_we_are_killed, plan_reset),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
