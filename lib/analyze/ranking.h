/* SPDX-License-Identifier: MIT */
/*
 * ranking.h - call paths, hottest first; stacks that read the same (PATHS_BY_LINE) are one row. Or
 * functions, each with everything that happens under it; a call is in as many rows as it has
 * callers.
 */
#ifndef ANALYZE_RANKING_H
#define ANALYZE_RANKING_H

#include "aggregate.h"
#include "paths.h"

#define RANKING_BY(X)                                                                              \
    X(CALLS, calls, calls)                                                                         \
    X(BYTES, bytes, bytes)                                                                         \
    X(LIVE, live, live_bytes)                                                                      \
    X(TIME, time, time_ns)                                                                         \
    X(WAIT, wait, wait_ns)

enum ranking_by {
#define X(NAME, name, field) RANKING_BY_##NAME,
    RANKING_BY(X)
#undef X
        RANKING_BYS,
};

const char *ranking_by_name(enum ranking_by by);

/* What a row is ranked by. */
struct estimate ranking_key(const struct aggregate_sums *sums, enum ranking_by by);

/* A function that calls the allocator for so many different ones wraps it for them. */
#define RANKING_WRAPPER 4

struct ranking_row {
    struct aggregate_sums sums;
    uint64_t merged; /* recorded stacks in this row */
    struct path path;

    /* Only of a function, which has a path of one frame: */
    struct symbol_frame function;
    const struct symbol_frame *frame; /* the same, for the path to point at */
    double height;                    /* functions above it, summed with what is ranked as weight */
    const char *callers[RANKING_WRAPPER]; /* where it calls the allocator itself: its callers, */
    size_t caller_count;                  /* different ones, up to so many */
    /* Added last: of a function that calls itself, the innermost call counts. */
    uint64_t last_stack;
};

struct ranking_query {
    enum ranking_by by;
    size_t depth;         /* frames to look at, inlined ones included; 0: all */
    const char *function; /* shell pattern that one of all frames must match; NULL: any */
    bool callers;         /* rank functions */
};

struct ranking {
    struct ranking_row *rows; /* hottest first; none with nothing to rank */
    size_t count;
    size_t capacity;
    struct paths paths; /* of the rows, in another order */
    /* Of paths that were cut short, and may so go through functions that they are not counted
     * under: where functions are ranked, or looked for. */
    struct aggregate_sums cut;
};

void ranking_create(const struct malloctap_recording *recording, struct symbols *symbols,
                    const struct aggregate *aggregate, struct ranking_query query,
                    struct ranking *ret);
void ranking_deinit(struct ranking *ranking);

/*
 * Of the functions under which most (two thirds) of `all` lies, the innermost that says something:
 * the one that has the most others above it, on average, and is neither a wrapper of the allocator
 * nor of the C++ library. NULL: there is none.
 */
const struct ranking_row *ranking_common_function(const struct ranking *functions,
                                                  enum ranking_by by, double all);

#endif
