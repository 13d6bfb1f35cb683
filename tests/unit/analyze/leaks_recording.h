/* SPDX-License-Identifier: MIT */
/* leaks_recording.h - a synthetic recording of blocks, and what is found live in it. */
#ifndef TESTS_LEAKS_RECORDING_H
#define TESTS_LEAKS_RECORDING_H

#include "leaks.h"
#include "recording_builder.h"

#define START RECORDING_BUILDER_START_TICKS

struct fixture {
    struct recording_builder *builder;
    uint64_t first, second; /* threads 101 and 102 */
    uint32_t stack, other;
    struct malloctap_recording *recording;
    struct leaks leaks;
};

extern const struct leaks_query the_end;

struct fixture begin(enum malloctap_mode mode);
void end(struct fixture *f);

/* Write what was built and open it; done by the first read_leaks() too. */
void open_built(struct fixture *f);
void read_leaks(struct fixture *f, struct leaks_query query);

/* A logged call; ticks are nanoseconds after the start. */
void add_malloc(struct fixture *f, uint64_t thread, uint64_t ticks, uint32_t stack,
                uint64_t address, uint64_t size);

#endif
