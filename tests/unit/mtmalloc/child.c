/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static int run(void (*test)(void), char *output, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL); /* cmocka's and a sanitizer's handlers are for the test program */
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        alarm(60);
        test();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length < size - 1 && (got = read(ends[0], output + length, size - 1 - length)) > 0)
        length += (size_t)got;
    output[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void assert_child_returns(void (*test)(void))
{
    char output[4096];
    int status = run(test, output, sizeof output);
    if (status != 0)
        fail_msg("status %#x: %s", status, output);
}

void assert_child_aborts(void (*test)(void), const char *text)
{
    char output[4096];
    int status = run(test, output, sizeof output);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("status %#x: %s", status, output);
    if (strstr(output, text) == NULL || strchr(output, '\n') != output + strlen(output) - 1)
        fail_msg("not one line with '%s': '%s'", text, output);
}
