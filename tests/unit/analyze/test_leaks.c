/* SPDX-License-Identifier: MIT */
/* What is live at which moment, in synthetic recordings whose truth is known. */
#include "leaks_recording.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct leaks_sums sums_of(const struct fixture *f, uint32_t stack)
{
    for (size_t i = 0; i < f->leaks.stack_count; i++)
        if (f->leaks.stacks[i].stack == stack)
            return f->leaks.stacks[i].sums;
    return (struct leaks_sums){0};
}

static void assert_sums(const struct fixture *f, uint32_t stack, double blocks, double bytes)
{
    struct leaks_sums sums = sums_of(f, stack);
    if (sums.blocks.value != blocks || sums.bytes.value != bytes)
        fail_msg("stack %u: %g bytes in %g blocks, expected %g in %g", stack, sums.bytes.value,
                 sums.blocks.value, bytes, blocks);
}

/* ---- logged calls; ticks are nanoseconds after the start ------------------------------------- */

static void add_free(struct fixture *f, uint64_t thread, uint64_t ticks, uint64_t address)
{
    struct recording_builder_call call = {
        .op = MALLOCTAP_OP_FREE, .stack = f->other, .ticks = START + ticks, .address = address};
    recording_builder_add_call(f->builder, thread, &call);
}

static void add_realloc(struct fixture *f, uint64_t thread, uint64_t ticks, uint64_t old,
                        uint64_t address, uint64_t size, bool failed)
{
    struct recording_builder_call call = {.op = MALLOCTAP_OP_REALLOC,
                                          .failed = failed,
                                          .stack = f->other,
                                          .ticks = START + ticks,
                                          .duration = 2,
                                          .address = address,
                                          .size = size,
                                          .old = old};
    recording_builder_add_call(f->builder, thread, &call);
}

static void blocks_end_in_any_thread(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    add_malloc(&f, f.second, 10, f.stack, 0x1000, 100);
    add_free(&f, f.first, 20, 0x1000); /* its chunk comes first in no order but that of time */
    add_malloc(&f, f.second, 30, f.stack, 0x1000, 40);
    add_malloc(&f, f.first, 40, f.stack, 0x2000, 7);
    read_leaks(&f, the_end);
    assert_sums(&f, f.stack, 2, 47);
    assert_int_equal(sums_of(&f, f.stack).first_ticks, START + 30);
    assert_int_equal(sums_of(&f, f.stack).last_ticks, START + 40);
    assert_int_equal(f.leaks.live.logged, 4);
    assert_true(f.leaks.all.bytes.variance == 0);
    end(&f);
}

static void reallocs_end_one_block_and_begin_another(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    add_malloc(&f, f.first, 10, f.stack, 0x1000, 100);
    add_malloc(&f, f.first, 11, f.stack, 0x2000, 200);
    add_malloc(&f, f.first, 12, f.stack, 0x3000, 400);
    add_realloc(&f, f.second, 20, 0x1000, 0x5000, 150, false); /* moves */
    add_realloc(&f, f.second, 30, 0x2000, 0, 9999, true);      /* fails: the old one lives on */
    add_realloc(&f, f.second, 40, 0x3000, 0, 0, false);        /* frees */
    add_realloc(&f, f.second, 50, 0, 0x6000, 3, false);
    add_realloc(&f, f.second, 60, 0x6000, 0x6000, 5, false); /* in place */
    read_leaks(&f, the_end);
    assert_sums(&f, f.stack, 1, 200);
    assert_sums(&f, f.other, 2, 155);
    assert_int_equal(f.leaks.live.frees_unknown, 0);
    assert_int_equal(f.leaks.live.ends_missed, 0);
    end(&f);
}

static void what_was_not_recorded_is_counted(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    add_free(&f, f.first, 10, 0x9000); /* allocated before recording began */
    add_free(&f, f.first, 11, 0);
    add_malloc(&f, f.first, 20, f.stack, 0x1000, 100);
    add_malloc(&f, f.first, 30, f.other, 0x1000, 50); /* the free between was not recorded */
    read_leaks(&f, the_end);
    assert_int_equal(f.leaks.live.frees_unknown, 1);
    assert_int_equal(f.leaks.live.ends_missed, 1);
    assert_int_equal(f.leaks.live.logged, 3);
    assert_sums(&f, f.stack, 0, 0);
    assert_sums(&f, f.other, 1, 50);
    end(&f);
}

static void the_peak_is_that_of_all_threads_together(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    add_malloc(&f, f.first, 10, f.stack, 0x1000, 100);
    add_malloc(&f, f.second, 20, f.stack, 0x2000, 300);
    add_free(&f, f.first, 30, 0x1000);
    add_malloc(&f, f.second, 40, f.stack, 0x3000, 50);
    read_leaks(&f, the_end);
    assert_true(f.leaks.live.peak.bytes == 400 && f.leaks.live.peak.blocks == 2);
    assert_int_equal(f.leaks.live.peak_ticks, START + 20);
    end(&f);
}

/* ---- moments --------------------------------------------------------------------------------- */

static struct fixture with_moments(void)
{
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    add_malloc(&f, f.first, 10, f.stack, 0x1000, 100);
    add_malloc(&f, f.first, 20, f.stack, 0x2000, 200);
    add_malloc(&f, f.first, 30, f.other, 0x3000, 400);
    add_free(&f, f.second, 40, 0x3000);
    add_malloc(&f, f.second, 50, f.stack, 0x4000, 800);
    add_free(&f, f.second, 60, 0x1000);
    return f;
}

static void a_moment_includes_its_own_events(void **state)
{
    struct fixture f = with_moments();
    struct leaks_query query = the_end;
    query.at = START + 30;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 2, 300);
    assert_sums(&f, f.other, 1, 400);
    query.at = START + 29;
    read_leaks(&f, query);
    assert_sums(&f, f.other, 0, 0);
    end(&f);
}

static void blocks_are_chosen_by_when_they_began(void **state)
{
    struct fixture f = with_moments();
    struct leaks_query query = the_end;
    query.since = START + 50;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 1, 800);
    query = the_end;
    query.before = START + 20;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 1, 200);
    end(&f);
}

static void growth_is_what_came_minus_what_went(void **state)
{
    struct fixture f = with_moments();
    struct leaks_query query = the_end;
    query.from = START + 30;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 0, 700);
    assert_sums(&f, f.other, -1, -400);
    assert_int_equal(sums_of(&f, f.stack).records, 1);
    assert_int_equal(sums_of(&f, f.stack).first_ticks, START + 50);
    end(&f);
}

static void only_the_thread_that_allocated_counts(void **state)
{
    struct fixture f = with_moments();
    struct leaks_query query = the_end;
    query.tid = 102;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 1, 800);
    assert_true(f.leaks.live.peak.bytes == 800);
    assert_int_equal(f.leaks.live.frees_unknown, 0);
    end(&f);
}

static void times_and_ticks_are_inverse(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    struct malloctap_header *header = recording_builder_header(f.builder);
    header->clock_mult = 1789569707; /* 2.4 ticks a nanosecond */
    header->clock_shift = 32;
    open_built(&f);
    for (uint64_t ns = 0; ns < 3000; ns++) {
        uint64_t ticks = malloctap_recording_last_tick(f.recording, ns);
        assert_true(malloctap_recording_ns(f.recording, ticks) <= ns);
        assert_true(malloctap_recording_ns(f.recording, ticks + 1) > ns);
    }
    assert_true(malloctap_recording_last_tick(f.recording, UINT64_MAX) == UINT64_MAX);
    end(&f);
}

/* ---- samples --------------------------------------------------------------------------------- */

static struct malloctap_sample sample(const struct fixture *f, uint64_t ticks, uint64_t address,
                                      uint64_t size, double weight)
{
    return (struct malloctap_sample){
        .head = {.op = MALLOCTAP_OP_MALLOC, .stack = f->stack},
        .ticks = START + ticks,
        .address = address,
        .size = size,
        .weight = weight,
    };
}

static void add_freed(struct fixture *f, uint64_t ticks, uint64_t address, uint64_t allocated)
{
    recording_builder_add_freed(f->builder, f->second,
                                (struct malloctap_freed){.head.op = MALLOCTAP_OP_FREE,
                                                         .ticks = START + ticks,
                                                         .address = address,
                                                         .weight = 1,
                                                         .allocated_ticks = START + allocated});
}

static void samples_estimate_with_their_error(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_SAMPLE);
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 10, 0x1000, 100, 8));
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 20, 0x2000, 10, 4));
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 30, 0x3000, 1, 2));
    add_freed(&f, 40, 0x1000, 10);
    add_freed(&f, 50, 0x2000, 5); /* an earlier life of that address */
    read_leaks(&f, the_end);
    assert_sums(&f, f.stack, 6, 42);
    assert_true(sums_of(&f, f.stack).bytes.variance == 4 * 3 * 100 + 2 * 1 * 1);
    assert_int_equal(f.leaks.live.sampled, 3);
    assert_int_equal(f.leaks.live.frees_unknown, 0);
    end(&f);
}

/* Blocks that live at both moments say nothing about growth, and add nothing to its error. */
static void growth_of_samples_has_the_error_of_what_changed(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_SAMPLE);
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 10, 0x1000, 100, 8));
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 20, 0x2000, 10, 4));
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 40, 0x3000, 1, 2));
    add_freed(&f, 50, 0x2000, 20);
    struct leaks_query query = the_end;
    query.from = START + 30;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 2 - 4, 2 - 40);
    assert_true(sums_of(&f, f.stack).bytes.variance == 2 * 1 * 1 + 4 * 3 * 100);
    end(&f);
}

static void an_unnoticed_end_makes_no_leak(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_SAMPLE);
    struct malloctap_sample untracked = sample(&f, 10, 0x1000, 100, 8);
    untracked.flags = MALLOCTAP_SAMPLE_UNTRACKED;
    recording_builder_add_alloc(f.builder, f.first, untracked);
    struct malloctap_sample failed = sample(&f, 11, 0, 100, 8);
    failed.flags = MALLOCTAP_SAMPLE_FAILED;
    recording_builder_add_alloc(f.builder, f.first, failed);
    read_leaks(&f, the_end);
    assert_sums(&f, f.stack, 0, 0);
    assert_int_equal(f.leaks.live.untracked, 1);
    end(&f);
}

/* A mode that was switched: a logged free ends a block that was sampled before. */
static void a_logged_free_ends_a_sampled_block(void **state)
{
    struct fixture f = begin(MALLOCTAP_MODE_SAMPLE);
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 10, 0x1000, 100, 8));
    recording_builder_add_alloc(f.builder, f.first, sample(&f, 20, 0x2000, 10, 8));
    add_free(&f, f.first, 30, 0x1000);
    read_leaks(&f, the_end);
    assert_sums(&f, f.stack, 8, 80);
    end(&f);
}

static void a_ring_claims_only_what_it_still_has_whole(void **state)
{
    struct fixture f = with_moments();
    recording_builder_header(f.builder)->overwritten_until = START + 25;
    read_leaks(&f, the_end);
    assert_sums(&f, f.stack, 1, 800);
    assert_true(f.leaks.uncertain.bytes.value == 200 && f.leaks.uncertain.blocks.value == 1);
    assert_true(f.leaks.all.bytes.value == 800);
    struct leaks_query query = the_end;
    query.from = START + 30;
    read_leaks(&f, query);
    assert_sums(&f, f.stack, 1, 800); /* whether 0x1000 was live then is not known */
    end(&f);
}

/* ---- many ------------------------------------------------------------------------------------ */

enum { PLACES = 3000, STEPS = 40000 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A table that grows, shrinks and is full of runs, against an array. */
static void many_blocks_are_all_told_apart(void **state)
{
    static uint64_t sizes[PLACES];
    struct fixture f = begin(MALLOCTAP_MODE_LOG);
    uint64_t random = 88172645463325252u;
    memset(sizes, 0, sizeof sizes);
    for (uint64_t step = 1; step <= STEPS; step++) {
        uint64_t r = next_random(&random), place = r % PLACES, address = (place + 1) * 16;
        uint64_t thread = r >> 40 & 1 ? f.first : f.second;
        if (step > STEPS / 2 && step < STEPS * 3 / 4 && !sizes[place])
            continue; /* shrink */
        if (sizes[place]) {
            add_free(&f, thread, step, address);
            sizes[place] = 0;
        } else {
            sizes[place] = 1 + (r >> 20) % 1000;
            add_malloc(&f, thread, step, place % 2 ? f.stack : f.other, address, sizes[place]);
        }
    }
    double blocks[2] = {0}, bytes[2] = {0};
    for (size_t place = 0; place < PLACES; place++) {
        blocks[place % 2] += sizes[place] != 0;
        bytes[place % 2] += (double)sizes[place];
    }
    read_leaks(&f, the_end);
    assert_sums(&f, f.other, blocks[0], bytes[0]);
    assert_sums(&f, f.stack, blocks[1], bytes[1]);
    assert_int_equal(f.leaks.live.ends_missed + f.leaks.live.frees_unknown, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_end_in_any_thread),
        cmocka_unit_test(reallocs_end_one_block_and_begin_another),
        cmocka_unit_test(what_was_not_recorded_is_counted),
        cmocka_unit_test(the_peak_is_that_of_all_threads_together),
        cmocka_unit_test(a_moment_includes_its_own_events),
        cmocka_unit_test(blocks_are_chosen_by_when_they_began),
        cmocka_unit_test(growth_is_what_came_minus_what_went),
        cmocka_unit_test(only_the_thread_that_allocated_counts),
        cmocka_unit_test(times_and_ticks_are_inverse),
        cmocka_unit_test(samples_estimate_with_their_error),
        cmocka_unit_test(growth_of_samples_has_the_error_of_what_changed),
        cmocka_unit_test(an_unnoticed_end_makes_no_leak),
        cmocka_unit_test(a_logged_free_ends_a_sampled_block),
        cmocka_unit_test(a_ring_claims_only_what_it_still_has_whole),
        cmocka_unit_test(many_blocks_are_all_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
