/* SPDX-License-Identifier: MIT */
/*
 * leaks.h - what is live at a moment of a recording, by stack.
 *
 * leaks_read() goes through the recording once, in order of time, up to that moment. leaks_group()
 * puts stacks that read the same together and sets apart what is not the program's to free.
 */
#ifndef ANALYZE_LEAKS_H
#define ANALYZE_LEAKS_H

#include "estimate.h"
#include "live.h"
#include "paths.h"
#include "suppressions.h"

/* Moments are ticks of the recording's clock, all included. */
struct leaks_query {
    uint64_t at;     /* what is live then; UINT64_MAX: at the end */
    uint64_t since;  /* only blocks allocated from then on; 0: all */
    uint64_t before; /* only blocks allocated until then; UINT64_MAX: all */
    uint64_t from;   /* growth: minus what was live then, before `at`; 0: no growth */
    uint32_t tid;    /* only blocks that this thread allocated; 0: all */
};

/* Blocks that are live; of growth the difference, which may be less than nothing. */
struct leaks_sums {
    struct estimate bytes;
    struct estimate blocks;
    uint64_t records;     /* of blocks that are live now */
    uint64_t first_ticks; /* when the oldest and the newest of these were allocated; 0: none is */
    uint64_t last_ticks;
};

void leaks_sums_add(struct leaks_sums *to, const struct leaks_sums *from);

struct leaks_stack {
    uint32_t stack; /* id in the depot; 0: the stack was not recorded */
    struct leaks_sums sums;
};

struct leaks {
    struct leaks_stack *stacks;
    size_t stack_count;
    struct leaks_sums all; /* of all stacks */
    /* Blocks older than what a bounded ring still has whole. They may have ended without a trace,
     * so they are in no other sum. */
    struct leaks_sums uncertain;
    struct live live; /* counts and peak; its blocks are released */
    uint64_t damaged; /* chunks that could not be read to their end */
    struct malloctap_error first_damage;

    struct table index_of_stack;
    size_t stack_capacity;
};

/* Returns 0, or -1 with `error` set when no record can be read. */
int leaks_read(const struct malloctap_recording *recording, struct leaks_query query,
               struct leaks *ret, struct malloctap_error *error);
void leaks_deinit(struct leaks *leaks);

/* ---- groups -------------------------------------------------------------------------------- */

struct leaks_row {
    struct leaks_sums sums;
    size_t path;     /* among the groups' */
    uint64_t merged; /* recorded stacks in this row */
};

struct leaks_groups {
    struct leaks_row *rows; /* most bytes first */
    size_t count;
    struct leaks_sums all;         /* of the rows */
    struct leaks_sums runtime;     /* the C and C++ runtime's own, see runtime_blocks.h */
    struct leaks_sums suppressed;  /* by the user, */
    struct leaks_sums *by_pattern; /* and by which pattern: as many as there are */
    struct paths paths;
    size_t capacity;
};

struct leaks_grouping {
    size_t depth;                      /* frames that count, innermost first; 0: all */
    bool runtime;                      /* the runtime's own are rows like any other */
    const struct suppressions *hidden; /* the user's */
};

void leaks_group(const struct malloctap_recording *recording, struct symbols *symbols,
                 const struct leaks *leaks, struct leaks_grouping grouping,
                 struct leaks_groups *ret);
void leaks_groups_deinit(struct leaks_groups *groups);

#endif
