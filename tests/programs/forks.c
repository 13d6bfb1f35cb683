/* SPDX-License-Identifier: MIT */
/*
 * forks - every way to make a child, each child with a known number of calls of its own.
 *
 *   forks TRUTH-FILE
 *
 * Children by fork, fork in a fork, vfork and exec, posix_spawn and a raw clone; then forks while
 * other threads allocate. Each writes its row; the main thread has none, it only creates threads.
 */
#include "truth.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { NOISE_THREADS = 3, FORKS_UNDER_NOISE = 20 };

static int truth_fd;
static char *truth_path;
static pthread_barrier_t noise_begins, noise_ended;
static atomic_bool quiet;

static void allocate(unsigned long rounds)
{
    for (unsigned long i = 0; i < rounds; i++) {
        void *block = counted_malloc(16 + i % 500);
        block = counted_realloc(block, 600);
        counted_free(block);
        counted_free(counted_calloc(2, 8 + i % 100));
    }
}

static _Noreturn void be_child(unsigned long rounds)
{
    truth = (struct truth){0};
    allocate(rounds);
    truth_write(truth_fd);
    _exit(0);
}

static void wait_for(pid_t pid)
{
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        _exit(97);
}

static void fork_in_fork(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        truth = (struct truth){0};
        allocate(30);
        pid_t grandchild = fork();
        if (grandchild == 0)
            be_child(40);
        wait_for(grandchild);
        truth_write(truth_fd);
        _exit(0);
    }
    wait_for(pid);
}

static void vfork_and_exec(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/proc/self/exe", "forks", "--child", truth_path, (char *)NULL);
        _exit(96);
    }
    wait_for(pid);
}

static void spawn(char *const environment[])
{
    char *arguments[] = {"forks", "--child", truth_path, NULL};
    pid_t pid = -1;
    posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environment);
    wait_for(pid);
}

static void raw_clone(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        be_child(50);
    wait_for(pid);
}

static void *make_noise(void *unused)
{
    pthread_barrier_wait(&noise_begins);
    do /* at least once: a thread that makes no call has no row in the recording */
        allocate(100);
    while (!atomic_load(&quiet));
    truth_write(truth_fd);
    pthread_barrier_wait(&noise_ended);
    pause();
    return unused;
}

static void *make_children(void *environment)
{
    allocate(1000);
    pid_t pid = fork();
    if (pid == 0)
        be_child(20);
    wait_for(pid);
    fork_in_fork();
    vfork_and_exec();
    spawn(environment);
    raw_clone();

    pthread_barrier_wait(&noise_begins);
    for (unsigned long i = 0; i < FORKS_UNDER_NOISE; i++) {
        allocate(10);
        pid = fork();
        if (pid == 0)
            be_child(60 + i);
        wait_for(pid);
    }
    atomic_store(&quiet, true);
    pthread_barrier_wait(&noise_ended);
    truth_write(truth_fd);
    _exit(0);
}

int main(int argc, char **argv, char **environment)
{
    truth_path = argv[argc - 1];
    truth_fd = truth_open(truth_path);
    if (argc == 3) {
        allocate(70);
        truth_write(truth_fd);
        return 0;
    }
    pthread_t thread;
    pthread_barrier_init(&noise_begins, NULL, NOISE_THREADS + 1);
    pthread_barrier_init(&noise_ended, NULL, NOISE_THREADS + 1);
    for (int i = 0; i < NOISE_THREADS; i++)
        pthread_create(&thread, NULL, make_noise, NULL);
    pthread_create(&thread, NULL, make_children, environment);
    pthread_join(thread, NULL);
    return 0;
}
