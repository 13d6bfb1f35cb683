/* SPDX-License-Identifier: MIT */
/*
 * live.h - which recorded blocks are live, from a recording's events in order of time.
 *
 * A logged block ends with the next free of its address. A sampled one ends with its FREED record;
 * where part of the run was logged and part sampled, any free of its address ends a block of either
 * kind. Memory grows with the blocks that are live at one time, not with those that ever were: a
 * slot of a block takes 32 bytes, and between 3/8 and 3/4 of the slots are in use.
 */
#ifndef ANALYZE_LIVE_H
#define ANALYZE_LIVE_H

#include <malloctap/reader.h>

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live_block {
    uint64_t address; /* 0: the slot is free */
    uint64_t ticks;   /* when it was allocated */
    uint64_t size;
    uint32_t owner; /* the caller's */
    float weight;   /* 1: logged, or certain to be sampled; of a sample seven digits are plenty */
};
static_assert(sizeof(struct live_block) == 32, "two slots a cache line");

#define LIVE_NOT_ASKED UINT32_MAX /* owner of a block that is only followed, not summed */

/* Sums over blocks that were asked for: exact where all were logged, else estimates. */
struct live_sums {
    double bytes;
    double blocks;
};

/* An event on its way into the table; see live_event(). */
struct live_step {
    struct live_block block; /* of one that ends only what names it */
    uint8_t kind;            /* enum malloctap_record_kind */
    bool logged;
};

#define LIVE_AHEAD 16u

/* A zeroed struct is an empty set. */
struct live {
    struct live_block *slots; /* open addressing, by address */
    size_t capacity;          /* 0 or a power of two */
    size_t count;
    unsigned shift; /* 64 - log2(capacity / 2) */

    struct live_step ahead[LIVE_AHEAD]; /* events that wait for their slots to be in the cache */
    size_t seen;                        /* events that ever came into `ahead`, */
    size_t done;                        /* and those that went on into the table */

    struct live_sums now;
    struct live_sums peak;
    uint64_t peak_ticks;

    uint64_t logged;        /* calls but free(NULL), by how they were recorded; */
    uint64_t sampled;       /* a free that ends a sample is none */
    uint64_t last_ticks;    /* of the latest event */
    uint64_t frees_unknown; /* logged, of blocks whose allocation was not recorded */
    uint64_t ends_missed;   /* blocks that were live when their address was obtained again */
    uint64_t untracked;     /* samples whose end would not have been recorded: never live here */
};

void live_deinit(struct live *live);

/* The blocks go, counts and peak stay: nothing can be added any more. */
void live_release(struct live *live);

/* Take the next event; in order of time. `owner` is that of a block that it begins. */
void live_event(struct live *live, const struct malloctap_event *event, uint32_t owner);

/* Up to LIVE_AHEAD of the latest events show only after this. */
void live_settle(struct live *live);

/* The next live block at or after *position (start with 0), or NULL. */
const struct live_block *live_next(const struct live *live, size_t *position);

#endif
