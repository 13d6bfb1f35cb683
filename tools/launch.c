/* SPDX-License-Identifier: MIT */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void launch_signals_take(const sigset_t *signals, struct launch_signals *ret)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t set = *signals;
    sigaddset(&set, SIGCHLD);
    sigaction(SIGCHLD, &standard, &ret->child);
    sigprocmask(SIG_BLOCK, &set, &ret->mask);
}

void launch_signals_restore(const struct launch_signals *signals)
{
    sigaction(SIGCHLD, &signals->child, NULL);
    sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

static void descriptor_place(int from, int to)
{
    if (from >= 0 && from != to && dup2(from, to) < 0)
        _exit(127);
}

/* Never returns; tells `report` why it could not start the program. */
static _Noreturn void child_run(const struct launch *launch, pid_t parent, int report)
{
    if (launch->own_group) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127); /* it was gone before we asked to be told */
    }
    char **environment = tap_environment(launch->tap, getpid(), launch->path);
    descriptor_place(launch->input, STDIN_FILENO);
    descriptor_place(launch->output, STDOUT_FILENO);
    descriptor_place(launch->errors, STDERR_FILENO);
    launch_signals_restore(launch->signals);
    execve(launch->path, launch->argv, environment);
    int error = errno;
    ssize_t written = write(report, &error, sizeof error);
    (void)written; /* the parent is gone then */
    _exit(127);
}

/* fork, not vfork or posix_spawn: those lend the program our memory, and the kernel counts its peak
 * as the program's. */
pid_t launch_start(const struct launch *launch)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC))
        return -1;
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        child_run(launch, parent, report[1]);
    int error = child < 0 ? errno : 0;
    close(report[1]);
    ssize_t got = 0;
    if (child > 0)
        do /* ends when exec closes the other end */
            got = read(report[0], &error, sizeof error);
        while (got < 0 && errno == EINTR);
    close(report[0]);
    if (child > 0 && got > 0) {
        waitpid(child, NULL, 0);
        child = -1;
    }
    errno = error;
    return child;
}

int launch_exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
