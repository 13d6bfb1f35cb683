/* SPDX-License-Identifier: MIT */
#include "built.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

struct built built_create(void)
{
    struct built built = {.builder = recording_builder_create()};
    const uint64_t frames[] = {recording_builder_frame(0, 0x1000),
                               recording_builder_frame(0, 0x2000)};
    built.first = recording_builder_add_thread(built.builder, 101, "first")->thread;
    built.second = recording_builder_add_thread(built.builder, 102, "second")->thread;
    built.stack = recording_builder_add_stack(built.builder, frames, 2, 0);
    built.other_stack = recording_builder_add_stack(built.builder, frames, 1, 0);
    return built;
}

struct malloctap_sample built_sample(uint32_t stack, uint64_t address, uint64_t size, double weight)
{
    return (struct malloctap_sample){
        .head = {.op = MALLOCTAP_OP_MALLOC, .stack = stack},
        .ticks = RECORDING_BUILDER_START_TICKS + address,
        .address = address,
        .size = size,
        .weight = weight,
    };
}

static struct malloctap_recording *open_built(struct recording_builder *builder)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_aggregate.%d.mtap", getpid());
    assert_int_equal(recording_builder_write(builder, path), 0);
    if (malloctap_recording_open(path, &recording, &error) < 0)
        fail_msg("%s", error.text);
    unlink(path);
    return recording;
}

struct aggregate built_aggregate(struct recording_builder *builder, struct aggregate_query query)
{
    struct malloctap_recording *recording = open_built(builder);
    struct malloctap_error error;
    struct aggregate aggregate;
    if (aggregate_read(recording, query, &aggregate, &error) < 0)
        fail_msg("%s", error.text);
    malloctap_recording_close(recording);
    return aggregate;
}

const struct aggregate_sums *built_sums(const struct aggregate *aggregate, uint32_t stack)
{
    static const struct aggregate_sums none;
    for (size_t i = 0; i < aggregate->stack_count; i++)
        if (aggregate->stacks[i].stack == stack)
            return &aggregate->stacks[i].sums;
    return &none;
}
