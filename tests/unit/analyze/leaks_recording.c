/* SPDX-License-Identifier: MIT */
#include "leaks_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

const struct leaks_query the_end = {.at = UINT64_MAX, .before = UINT64_MAX};

struct fixture begin(enum malloctap_mode mode)
{
    struct fixture f = {.builder = recording_builder_create()};
    const uint64_t frames[] = {recording_builder_frame(0, 0x1000),
                               recording_builder_frame(0, 0x2000)};
    recording_builder_header(f.builder)->mode = mode;
    f.first = recording_builder_add_thread(f.builder, 101, "first")->thread;
    f.second = recording_builder_add_thread(f.builder, 102, "second")->thread;
    f.stack = recording_builder_add_stack(f.builder, frames, 2, 0);
    f.other = recording_builder_add_stack(f.builder, frames, 1, 0);
    return f;
}

void open_built(struct fixture *f)
{
    struct malloctap_error error = {{0}};
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_leaks.%d.mtap", getpid());
    assert_int_equal(recording_builder_write(f->builder, path), 0);
    if (malloctap_recording_open(path, &f->recording, &error) < 0)
        fail_msg("%s", error.text);
    unlink(path);
}

void read_leaks(struct fixture *f, struct leaks_query query)
{
    struct malloctap_error error = {{0}};
    if (!f->recording)
        open_built(f);
    leaks_deinit(&f->leaks);
    if (leaks_read(f->recording, query, &f->leaks, &error) < 0)
        fail_msg("%s", error.text);
}

void end(struct fixture *f)
{
    leaks_deinit(&f->leaks);
    malloctap_recording_close(f->recording);
    recording_builder_destroy(f->builder);
}

void add_malloc(struct fixture *f, uint64_t thread, uint64_t ticks, uint32_t stack,
                uint64_t address, uint64_t size)
{
    struct recording_builder_call call = {.op = MALLOCTAP_OP_MALLOC,
                                          .stack = stack,
                                          .ticks = START + ticks,
                                          .address = address,
                                          .size = size};
    recording_builder_add_call(f->builder, thread, &call);
}
