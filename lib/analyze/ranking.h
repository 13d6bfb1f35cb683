/* SPDX-License-Identifier: MIT */
/* ranking.h - call paths, hottest first; stacks that read the same (PATHS_BY_LINE) are one row. */
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

struct ranking_row {
    struct aggregate_sums sums;
    uint64_t merged; /* recorded stacks in this row */
    struct path path;
};

struct ranking_query {
    enum ranking_by by;
    size_t depth;         /* frames to look at, inlined ones included; 0: all */
    const char *function; /* shell pattern that one of all frames must match; NULL: any */
};

struct ranking {
    struct ranking_row *rows; /* hottest first; none with nothing to rank */
    size_t count;
    size_t capacity;
    struct paths paths; /* of the rows, in another order */
};

void ranking_create(const struct malloctap_recording *recording, struct symbols *symbols,
                    const struct aggregate *aggregate, struct ranking_query query,
                    struct ranking *ret);
void ranking_deinit(struct ranking *ranking);

#endif
