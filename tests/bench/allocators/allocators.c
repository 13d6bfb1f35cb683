/* SPDX-License-Identifier: MIT */
/*
 * allocators.c - the allocators beside each other on the same work.
 *
 *   allocators [--brief] [--rounds N] [--uncounted LIBRARY] LIBMTMALLOC
 *
 * Every measurement is a process of its own, with the allocator preloaded; rounds are interleaved,
 * so that a disturbance meets all alike; medians are compared. Prints ratios to default glibc, peak
 * RSS, and how the time of one operation grows with the number of blocks. --uncounted: also what
 * mtmalloc's statistics cost, against a build of it without them.
 */
#include "workloads.h"

#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALLOCATORS_MAX = 6, ROUNDS_MAX = 31 };

static struct allocator {
    const char *name;
    const char *preload; /* "": none */
    const char *environment[2];
} allocators[ALLOCATORS_MAX] = {
    {"glibc", "", {NULL}},
    {"one lock", "", {"MALLOC_ARENA_MAX=1", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"}},
    {"mtmalloc", NULL, {NULL}},
    {"jemalloc", "libjemalloc.so.2", {NULL}},
    {"tcmalloc", "libtcmalloc_minimal.so.4", {NULL}},
    {"mimalloc", "libmimalloc.so.2", {NULL}},
};
static size_t allocator_count = ALLOCATORS_MAX;

/* Run this program again with these arguments; what it prints is put in `output`. */
static void run_child(const struct allocator *allocator, const char *const arguments[],
                      char *output, size_t size)
{
    char preload[4096];
    char *environment[5] = {preload};
    int count = 1, ends[2];
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", allocator->preload);
    for (int i = 0; i < 2 && allocator->environment[i] != NULL; i++)
        environment[count++] = (char *)allocator->environment[i];

    if (pipe(ends) != 0)
        abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    pid_t pid;
    if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char *const *)arguments,
                    environment) != 0)
        abort();
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    if (fgets(output, (int)size, from) == NULL)
        output[0] = '\0';
    fclose(from);
    int status;
    waitpid(pid, &status, 0);
    if (status != 0) {
        fprintf(stderr, "%s failed under %s (status %d)\n", arguments[1], allocator->name, status);
        exit(1);
    }
}

static struct workload_result measure(const struct allocator *allocator, const char *workload,
                                      const char *count)
{
    char output[256];
    const char *const arguments[] = {"allocators", workload, count, NULL};
    run_child(allocator, arguments, output, sizeof output);
    struct workload_result result;
    unsigned long peak;
    if (sscanf(output, "%lf %lu", &result.ns, &peak) != 2)
        abort();
    result.peak_rss = peak;
    return result;
}

/* In the child. */
static int run_measured(const char *workload, uint64_t count)
{
    struct workload_result result;
    if (strncmp(workload, "scale-", 6) == 0)
        workload_scale(strcmp(workload, "scale-oversize") == 0, count, &result);
    else if (strcmp(workload, "--whose") == 0) {
        Dl_info info = {0};
        dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info);
        puts(info.dli_fname != NULL ? info.dli_fname : "");
        return 0;
    } else if (!workload_run(workload, count, &result))
        return 2;
    printf("%.3f %lu\n", result.ns, (unsigned long)result.peak_rss);
    return 0;
}

/* Leave out those whose malloc is not the one that a process gets: they are not installed. */
static void keep_installed(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < allocator_count; i++) {
        char output[4096];
        const char *const arguments[] = {"allocators", "--whose", "0", NULL};
        const char *preload = allocators[i].preload;
        const char *base = strrchr(preload, '/') != NULL ? strrchr(preload, '/') + 1 : preload;
        if (access(preload, R_OK) != 0 && strchr(preload, '/') != NULL)
            continue;
        run_child(&allocators[i], arguments, output, sizeof output);
        if (strstr(output, base) != NULL)
            allocators[kept++] = allocators[i];
    }
    allocator_count = kept;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static void print_header(const char *title)
{
    printf("%-16s", title);
    for (size_t a = 0; a < allocator_count; a++)
        printf(" %18s", allocators[a].name);
    printf("\n");
}

/* One line: time in ns with its ratio to the first, then peak RSS. */
static void print_line(const char *name, const char *count, int rounds)
{
    static double ns[ALLOCATORS_MAX][ROUNDS_MAX], mib[ALLOCATORS_MAX][ROUNDS_MAX];
    for (int round = 0; round < rounds; round++)
        for (size_t a = 0; a < allocator_count; a++) {
            struct workload_result result = measure(&allocators[a], name, count);
            ns[a][round] = result.ns;
            mib[a][round] = (double)result.peak_rss / (1 << 20);
        }
    double first = median(ns[0], rounds);
    printf("%-16s", strncmp(name, "scale-", 6) == 0 ? count : name);
    for (size_t a = 0; a < allocator_count; a++)
        printf(" %11.1f (%4.2f)", median(ns[a], rounds), median(ns[a], rounds) / first);
    printf("\n%-16s", "  peak MiB");
    for (size_t a = 0; a < allocator_count; a++)
        printf(" %11.1f       ", median(mib[a], rounds));
    printf("\n");
    fflush(stdout);
}

/* Operations of a workload, as text; a twentieth for a brief run. */
static const char *operations_of(const char *workload, int brief)
{
    static char count[32];
    uint64_t operations = workload_operations(workload) / (brief ? 20 : 1);
    snprintf(count, sizeof count, "%lu", (unsigned long)operations);
    return count;
}

/* The median of the ratios of each round: what disturbs a round disturbs both. */
static void print_costs(const struct allocator *counted, const struct allocator *uncounted,
                        int rounds, int brief)
{
    printf("\nStatistics: time with them to time without, median of %d rounds (and quartiles)\n",
           rounds);
    static const char *const names[] = {
#define X(name, threads, about) #name,
        WORKLOADS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *count = operations_of(names[i], brief);
        double ratios[ROUNDS_MAX];
        for (int round = 0; round < rounds; round++) {
            /* Who runs second finds a warmer processor: in turn. */
            double first = measure(round % 2 ? counted : uncounted, names[i], count).ns;
            double second = measure(round % 2 ? uncounted : counted, names[i], count).ns;
            ratios[round] = round % 2 ? first / second : second / first;
        }
        double middle = median(ratios, rounds); /* sorts them */
        printf("%-16s %.3f (%.3f...%.3f)\n", names[i], middle, ratios[rounds / 4],
               ratios[rounds - 1 - rounds / 4]);
        fflush(stdout);
    }
}

static void print_tables(int rounds, int brief)
{
    print_header("ns (to glibc)");
#define X(name, threads, about) print_line(#name, operations_of(#name, brief), rounds);
    WORKLOADS(X)
#undef X
    static const char *const kinds[] = {"scale-small", "scale-oversize"};
    static const char *const counts[] = {"1000", "10000", "100000", "1000000"};
    for (int kind = 0; kind < 2; kind++) {
        printf("\n");
        print_header(kind == 0 ? "small blocks" : "oversize blocks");
        for (int i = 0; i < (brief ? 2 : 4); i++)
            print_line(kinds[kind], counts[i], i < 3 ? rounds : 1);
    }
    printf("\nAn operation is:\n");
#define X(name, threads, about) printf("  %-10s %s\n", #name, about);
    WORKLOADS(X)
#undef X
    printf("  blocks     that many live: allocate, replace at random, free; 16...511 bytes or "
           "64...96 KiB\n");
}

int main(int argc, char **argv)
{
    if (argc == 3 && argv[1][0] != '\0' && strcmp(argv[1], "--brief") != 0)
        return run_measured(argv[1], strtoull(argv[2], NULL, 10));
    int brief = 0, rounds = 7, i = 1;
    struct allocator counted = {.name = "mtmalloc"}, uncounted = {.name = "without statistics"};
    for (; i < argc - 1; i++)
        if (strcmp(argv[i], "--brief") == 0) {
            brief = 1;
            rounds = 1;
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc - 1) {
            rounds = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--uncounted") == 0 && i + 1 < argc - 1) {
            uncounted.preload = argv[++i];
        } else {
            break;
        }
    if (i != argc - 1 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr,
                "usage: allocators [--brief] [--rounds 1...%d] [--uncounted LIBRARY] LIBMTMALLOC\n",
                ROUNDS_MAX);
        return 2;
    }
    allocators[2].preload = counted.preload = argv[i];
    keep_installed();
    print_tables(rounds, brief);
    if (uncounted.preload != NULL)
        print_costs(&counted, &uncounted, rounds, brief);
    return 0;
}
