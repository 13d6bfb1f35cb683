/* SPDX-License-Identifier: MIT */
/*
 * event.h - one call as a log holds it, and its encoding, which recording.h draws.
 */
#ifndef PRELOAD_LOG_EVENT_H
#define PRELOAD_LOG_EVENT_H

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stdint.h>

struct log_event {
    enum malloctap_op op;
    bool failed; /* an allocation returned NULL; free(NULL) */
    uint32_t stack;
    uint64_t ticks;    /* of a realloc: before the old block goes back */
    uint64_t address;  /* 0: none */
    uint64_t size;     /* requested; of a free 0 */
    uint64_t old;      /* realloc: the block it was given; else 0 */
    uint64_t duration; /* realloc: ticks until the new block was obtained; else 0 */
};

/* What the next event in the chunk is relative to: the event before; at its start first_ticks, 0,
 * 0. */
struct log_base {
    uint64_t ticks;
    uint64_t address;
    uint32_t stack;
};

/* Encode an event at `to`, where there are MALLOCTAP_LOG_EVENT_MAX bytes, and make it the base of
 * the next one. Returns its length. */
uint32_t log_encode(const struct log_event *event, struct log_base *base, unsigned char *to);

#endif
