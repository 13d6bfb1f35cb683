/* SPDX-License-Identifier: MIT */
/*
 * forking_handler - a signal handler that forks at any instruction and returns in both processes, while the
 * main loop allocates. The children allocate a little more and end.
 *
 *   forking_handler FORKS
 *
 * A plain C library may hang in such a child if its allocator has locks and there are threads: there are
 * none here. Exit status: 0 if every child ended well.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t is_child, forks, failures;

/* A one-shot timer, set again by the main loop: a slow machine must not be kept in here. */
static void set_timer(void)
{
    struct itimerval soon = {.it_value = {0, 200}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void on_alarm(int signal)
{
    (void)signal;
    if (is_child)
        return;
    pid_t child = fork();
    if (child == 0) {
        is_child = 1;
        return;
    }
    int status;
    failures += waitpid(child, &status, 0) != child || status != 0;
    forks++;
}

static void allocate(int times)
{
    for (int i = 0; i < times; i++) {
        void *volatile block = malloc(100);
        free(block);
    }
}

int main(int argc, char **argv)
{
    int wanted = argc == 2 ? atoi(argv[1]) : 0;
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    while (forks < wanted) {
        int before = forks;
        set_timer();
        while (forks == before && !is_child)
            allocate(10);
        if (is_child) {
            allocate(3);
            _exit(0);
        }
    }
    return failures != 0;
}
