/* SPDX-License-Identifier: MIT */
/* workloads.h - what the allocators are given to do; each runs in a process of its own. */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stdint.h>

/* name, threads, what one operation is */
#define WORKLOADS(X)                                                                               \
    X(pair, 1, "malloc(64) and free, one thread")                                                  \
    X(mix, 1, "replace one of 256 live blocks of 32...1055 bytes, one thread")                     \
    X(hammer, 4, "malloc(64) and free, 4 threads")                                                 \
    X(mix4, 4, "as mix, in each of 4 threads")                                                     \
    X(handoff, 4, "allocated by one of 2 threads, freed by one of 2 others")                       \
    X(large, 1, "replace one of 32 live blocks of 64 KiB...1 MiB, a byte in each page written")

struct workload_result {
    double ns;         /* an operation, of one thread */
    uint64_t peak_rss; /* bytes, of the process */
};

/* Run by name for `operations` per thread. False: there is no such workload. */
_Bool workload_run(const char *name, uint64_t operations, struct workload_result *ret);

/* Operations per thread that take some tenths of a second; 0: no such workload. */
uint64_t workload_operations(const char *name);

/* `count` blocks live, small or oversize: allocate all, replace as many in random order, free all.
 * Time of the three steps together, per block and step. */
void workload_scale(_Bool oversize, uint64_t count, struct workload_result *ret);

#endif
