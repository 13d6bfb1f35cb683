/* SPDX-License-Identifier: MIT */
/*
 * hotpath - what the tap adds to the shortest malloc there is: one thread, malloc(64) and free at
 * once.
 *
 *   hotpath [--brief] BARE_SHIM.so LIBMALLOCTAP.so
 *
 * Plain, a bare forwarding shim, and the tap counting and sampling take turns, each in a fresh
 * process a round, in an order that rotates, so that what disturbs the machine disturbs all alike.
 * Ratios are taken within a round; printed are their medians with the 95 % interval of the median.
 */
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A block is much shorter than a time slice, so few blocks hold one that another program had. */
enum { PAIRS = 20000, BLOCKS = 251, ROUNDS_MAX = 200 };
enum variant { PLAIN, BARE, COUNT, SAMPLE, VARIANTS };

static const char *const names[VARIANTS] = {"plain", "bare shim", "count", "sample"};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The child: the median time of a pair over the blocks, in nanoseconds, on standard output. */
static int measure(void)
{
    double ns[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        double start = now_ns();
        for (int i = 0; i < PAIRS; i++) {
            void *p = malloc(64);
            __asm__ volatile("" : "+r"(p) : : "memory");
            free(p);
        }
        ns[block] = (now_ns() - start) / PAIRS;
    }
    qsort(ns, BLOCKS, sizeof(ns[0]), by_value);
    return write(STDOUT_FILENO, &ns[BLOCKS / 2], sizeof(ns[0])) == sizeof(ns[0]) ? 0 : 1;
}

static double run_child(char *const environment[])
{
    int ends[2];
    double ns = 0;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char *arguments[] = {"hotpath", "--child", NULL};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int error = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    int status = 1;
    ssize_t got = error == 0 ? read(ends[0], &ns, sizeof(ns)) : -1;
    close(ends[0]);
    if (error == 0)
        waitpid(pid, &status, 0);
    return got == sizeof(ns) && status == 0 ? ns : -1;
}

static void print_row(const double ns[VARIANTS][ROUNDS_MAX], int variant, int rounds)
{
    double own[ROUNDS_MAX];
    memcpy(own, ns[variant], sizeof(own));
    qsort(own, (size_t)rounds, sizeof(own[0]), by_value);
    printf("%-10s %8.2f", names[variant], own[rounds / 2]);

    for (int base = PLAIN; base <= BARE; base++) {
        double ratio[ROUNDS_MAX];
        for (int i = 0; i < rounds; i++)
            ratio[i] = ns[variant][i] / ns[base][i];
        qsort(ratio, (size_t)rounds, sizeof(ratio[0]), by_value);
        /* Ranks between which the median lies with 95 %, whatever the distribution. */
        int low = (int)floor((rounds - 1.96 * sqrt(rounds)) / 2);
        low = low < 0 ? 0 : low;
        printf("   %6.3f [%.3f, %.3f]", ratio[rounds / 2], ratio[low], ratio[rounds - 1 - low]);
    }
    printf("\n");
}

/* A round counts only when the tap was there: then it left a recording. */
static bool take_recording(const char *path)
{
    if (unlink(path) == 0)
        return true;
    fprintf(stderr, "hotpath: the tap left no recording: nothing was measured\n");
    return false;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--child") == 0)
        return measure();
    bool brief = argc > 1 && strcmp(argv[1], "--brief") == 0;
    if (argc != 3 + brief) {
        fprintf(stderr, "usage: hotpath [--brief] BARE_SHIM.so LIBMALLOCTAP.so\n");
        return 2;
    }
    int rounds = brief ? 9 : 101;
    char directory[] = "/tmp/hotpath.XXXXXX";
    if (mkdtemp(directory) == NULL)
        return 2;

    char bare[1100], tap[1100], count[256], sample[256], recording[64];
    snprintf(recording, sizeof(recording), "%s/x.mtap", directory);
    snprintf(bare, sizeof(bare), "LD_PRELOAD=%s", argv[1 + brief]);
    snprintf(tap, sizeof(tap), "LD_PRELOAD=%s", argv[2 + brief]);
    snprintf(count, sizeof(count), "MALLOCTAP=mode=count,out=%s", recording);
    snprintf(sample, sizeof(sample), "MALLOCTAP=mode=sample,out=%s", recording);
    char *environments[VARIANTS][3] = {{NULL}, {bare}, {tap, count}, {tap, sample}};

    static double ns[VARIANTS][ROUNDS_MAX];
    int failed = 0;
    for (int round = 0; round < rounds && failed == 0; round++) {
        for (int i = 0; i < VARIANTS; i++) {
            int variant = (round + i) % VARIANTS;
            ns[variant][round] = run_child(environments[variant]);
            failed += ns[variant][round] < 0;
            if (variant >= COUNT && !take_recording(recording))
                failed++;
        }
    }
    rmdir(directory);
    if (failed > 0)
        return 1;
    printf("malloc(64) and free, one thread, %d rounds\n\n", rounds);
    printf("%-10s %8s   %-23s   %s\n", "", "ns", "to plain [95 %]", "to bare shim [95 %]");
    for (int variant = 0; variant < VARIANTS; variant++)
        print_row(ns, variant, rounds);
    return 0;
}
