/* SPDX-License-Identifier: MIT */
/* Which paths of two recordings are the same, and which changes are more than chance. */
#include "diff.h"
#include "recording_builder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct side {
    struct recording_builder *builder;
    uint64_t thread;
    uint32_t app, library;
    uint64_t next;
    struct malloctap_recording *recording;
    struct symbols *symbols;
    struct aggregate aggregate;
};

struct fixture {
    struct side sides[DIFF_SIDES];
    struct diff diff;
};

static void begin_side(struct side *side, const char *program, const char *library)
{
    *side = (struct side){.builder = recording_builder_create()};
    struct malloctap_header *header = recording_builder_header(side->builder);
    snprintf(header->executable, sizeof header->executable, "%s", program);
    side->thread = recording_builder_add_thread(side->builder, 101, "main")->thread;
    side->app = recording_builder_add_module(side->builder, program, 0, 0x9000, 0);
    side->library = recording_builder_add_module(side->builder, library, 0x10000, 0x19000, 0);
}

/* Samples of 10 bytes, through the library at an offset. */
static void add(struct side *side, uint64_t offset, int count, double weight)
{
    const uint64_t frames[] = {recording_builder_frame(side->library, offset),
                               recording_builder_frame(side->app, 0x100)};
    uint32_t stack = recording_builder_add_stack(side->builder, frames, 2, 0);
    for (int i = 0; i < count; i++) {
        side->next += 16;
        recording_builder_add_alloc(side->builder, side->thread,
                                    (struct malloctap_sample){.head.stack = stack,
                                                              .ticks = 2000 + side->next,
                                                              .address = side->next,
                                                              .size = 10,
                                                              .weight = weight});
    }
}

/* The block that was added last is given back. */
static void free_last(struct side *side, double weight)
{
    recording_builder_add_freed(side->builder, side->thread,
                                (struct malloctap_freed){.ticks = 3000 + side->next,
                                                         .address = side->next,
                                                         .size = 10,
                                                         .weight = weight,
                                                         .allocated_ticks = 2000 + side->next});
}

static void compare(struct fixture *f, enum ranking_by by, double old_per, double new_per)
{
    struct diff_input inputs[DIFF_SIDES];
    for (enum diff_side i = DIFF_OLD; i < DIFF_SIDES; i++) {
        struct side *side = &f->sides[i];
        struct malloctap_error error = {{0}};
        char path[64];
        snprintf(path, sizeof path, "/tmp/test_diff.%d.mtap", getpid());
        assert_int_equal(recording_builder_write(side->builder, path), 0);
        assert_int_equal(malloctap_recording_open(path, &side->recording, &error), 0);
        unlink(path);
        const struct aggregate_query all = {.ops = AGGREGATE_OPS_ALLOC, .live = true};
        assert_int_equal(aggregate_read(side->recording, all, &side->aggregate, &error), 0);
        side->symbols = symbols_create(side->recording);
        inputs[i] = (struct diff_input){side->recording, side->symbols, &side->aggregate,
                                        i == DIFF_OLD ? old_per : new_per};
    }
    diff_create(inputs, by, 0, &f->diff);
}

static void end(struct fixture *f)
{
    diff_deinit(&f->diff);
    for (enum diff_side i = DIFF_OLD; i < DIFF_SIDES; i++) {
        symbols_destroy(f->sides[i].symbols);
        aggregate_deinit(&f->sides[i].aggregate);
        malloctap_recording_close(f->sides[i].recording);
        recording_builder_destroy(f->sides[i].builder);
    }
}

static struct fixture begin(void)
{
    struct fixture f = {0};
    begin_side(&f.sides[DIFF_OLD], "/opt/1/app", "/opt/1/libx.so.1.2");
    begin_side(&f.sides[DIFF_NEW], "/home/me/app.new", "/home/me/libx.so.1.3");
    return f;
}

/* Another directory, another version, another name of the program. */
static void builds_have_the_same_paths(void **state)
{
    struct fixture f = begin();
    add(&f.sides[DIFF_OLD], 0x500, 100, 10);
    add(&f.sides[DIFF_NEW], 0x500, 150, 10);
    compare(&f, RANKING_BY_CALLS, 1, 1);
    assert_int_equal(f.diff.count, 1);
    struct estimate change = diff_change(&f.diff, &f.diff.rows[0]);
    assert_true(change.value == 500);
    assert_true(change.variance == 250 * 10 * 9);
    assert_true(diff_is_clear(change));
    end(&f);
}

static void other_places_are_other_paths(void **state)
{
    struct fixture f = begin();
    add(&f.sides[DIFF_OLD], 0x500, 100, 10);
    add(&f.sides[DIFF_NEW], 0x600, 90, 10);
    add(&f.sides[DIFF_OLD], 0x700, 5, 10);
    add(&f.sides[DIFF_NEW], 0x700, 5, 10);
    compare(&f, RANKING_BY_CALLS, 1, 1);
    assert_int_equal(f.diff.count, 2);
    assert_int_equal(f.diff.unchanged, 1);
    assert_true(diff_change(&f.diff, &f.diff.rows[0]).value == -1000);
    assert_true(diff_change(&f.diff, &f.diff.rows[1]).value == 900);
    end(&f);
}

static void modules_of_other_names_are_other_modules(void **state)
{
    struct fixture f = {0};
    begin_side(&f.sides[DIFF_OLD], "/opt/1/app", "/opt/1/plug.sorted.so.1");
    begin_side(&f.sides[DIFF_NEW], "/opt/1/app", "/opt/1/plug.socket.so.2");
    add(&f.sides[DIFF_OLD], 0x500, 100, 1);
    add(&f.sides[DIFF_NEW], 0x500, 100, 1);
    compare(&f, RANKING_BY_CALLS, 1, 1);
    assert_int_equal(f.diff.count, 2);
    end(&f);
}

static void rates_are_compared_where_durations_differ(void **state)
{
    struct fixture f = begin();
    add(&f.sides[DIFF_OLD], 0x500, 100, 2);
    add(&f.sides[DIFF_NEW], 0x500, 300, 1);
    compare(&f, RANKING_BY_BYTES, 2, 4);
    struct estimate change = diff_change(&f.diff, &f.diff.rows[0]);
    assert_true(diff_figure(&f.diff, &f.diff.rows[0], DIFF_OLD).value == 1000);
    assert_true(change.value == 750 - 1000);
    assert_true(change.variance == 100 * 2 * 1 * 10 * 10 / (2.0 * 2.0));
    end(&f);
}

/* One sample of many may be there or not by chance; that none of a hundred is there, is not. */
static void a_path_that_one_side_has_not_may_have_been_missed(void **state)
{
    struct fixture f = begin();
    add(&f.sides[DIFF_OLD], 0x500, 1, 10);
    add(&f.sides[DIFF_OLD], 0x600, 100, 10);
    add(&f.sides[DIFF_NEW], 0x700, 100, 10);
    compare(&f, RANKING_BY_CALLS, 1, 1);
    assert_int_equal(f.diff.count, 3);
    assert_true(diff_is_clear(diff_change(&f.diff, &f.diff.rows[0])));
    assert_true(diff_is_clear(diff_change(&f.diff, &f.diff.rows[1])));
    assert_false(diff_is_clear(diff_change(&f.diff, &f.diff.rows[2])));
    end(&f);
}

/* A block of many may still be live, though that of the only sample is not. */
static void what_one_side_has_not_live_may_have_been_missed(void **state)
{
    struct fixture f = begin();
    add(&f.sides[DIFF_OLD], 0x500, 2, 1);
    add(&f.sides[DIFF_NEW], 0x500, 1, 4);
    free_last(&f.sides[DIFF_NEW], 4);
    compare(&f, RANKING_BY_LIVE, 1, 1);
    assert_int_equal(f.diff.count, 1);
    assert_true(diff_change(&f.diff, &f.diff.rows[0]).value == -20);
    assert_false(diff_is_clear(diff_change(&f.diff, &f.diff.rows[0])));
    end(&f);
}

static void a_log_against_samples_marks_no_gaps(void **state)
{
    struct fixture f = begin();
    const uint64_t frames[] = {recording_builder_frame(f.sides[DIFF_NEW].library, 0x800)};
    uint32_t stack = recording_builder_add_stack(f.sides[DIFF_NEW].builder, frames, 1, 0);
    for (uint64_t i = 1; i <= 5; i++) {
        struct recording_builder_call call = {
            .stack = stack, .ticks = 2000 + i, .address = i * 16, .size = 10};
        recording_builder_add_call(f.sides[DIFF_NEW].builder, f.sides[DIFF_NEW].thread, &call);
    }
    add(&f.sides[DIFF_OLD], 0x500, 10, 1000);
    compare(&f, RANKING_BY_CALLS, 1, 1);
    assert_int_equal(f.diff.count, 2);
    assert_true(diff_is_clear(diff_change(&f.diff, &f.diff.rows[0])));
    assert_false(diff_is_clear(diff_change(&f.diff, &f.diff.rows[1]))); /* 5 of 1 in 1000 */
    end(&f);
}

/* Two samples where six were to be expected: as happens one time in sixteen. */
static void a_figure_that_came_out_low_by_chance_is_no_change(void **state)
{
    struct fixture f = begin();
    add(&f.sides[DIFF_OLD], 0x500, 300, 1);
    add(&f.sides[DIFF_NEW], 0x500, 2, 50);
    add(&f.sides[DIFF_OLD], 0x600, 3000, 1);
    add(&f.sides[DIFF_NEW], 0x600, 20, 50);
    compare(&f, RANKING_BY_CALLS, 1, 1);
    assert_int_equal(f.diff.count, 2);
    assert_true(diff_is_clear(diff_change(&f.diff, &f.diff.rows[0])));
    assert_false(diff_is_clear(diff_change(&f.diff, &f.diff.rows[1])));
    end(&f);
}

static void exact_changes_are_clear(void **state)
{
    assert_true(diff_is_clear((struct estimate){1, 0}));
    assert_false(diff_is_clear((struct estimate){0, 0}));
    assert_true(diff_is_clear((struct estimate){-2.1, 1}));
    assert_false(diff_is_clear((struct estimate){1.9, 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_have_the_same_paths),
        cmocka_unit_test(other_places_are_other_paths),
        cmocka_unit_test(rates_are_compared_where_durations_differ),
        cmocka_unit_test(a_path_that_one_side_has_not_may_have_been_missed),
        cmocka_unit_test(what_one_side_has_not_live_may_have_been_missed),
        cmocka_unit_test(a_log_against_samples_marks_no_gaps),
        cmocka_unit_test(a_figure_that_came_out_low_by_chance_is_no_change),
        cmocka_unit_test(modules_of_other_names_are_other_modules),
        cmocka_unit_test(exact_changes_are_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
