/* SPDX-License-Identifier: MIT */
/* views_recording.h - one synthetic recording with something of everything that views show. */
#ifndef TESTS_VIEWS_RECORDING_H
#define TESTS_VIEWS_RECORDING_H

#include "recording_builder.h"

#include <malloctap/reader.h>

struct views_recording {
    struct recording_builder *builder;
    uint64_t main_thread;
    uint64_t worker;
    uint32_t load; /* stacks */
    uint32_t insert;
};

/* Two threads, two call paths through "app" and "libtable.so", neither of which is a file. */
struct views_recording views_recording_create(void);

/* Write it, open it under a name that is the same on every machine. */
struct malloctap_recording *views_recording_open(struct recording_builder *builder);

#endif
