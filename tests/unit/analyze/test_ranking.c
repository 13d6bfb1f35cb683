/* SPDX-License-Identifier: MIT */
/* Which stacks become one row, and in what order rows stand. */
#include "orchard.h"
#include "ranking.h"
#include "recording_builder.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef void orchard_function(orchard_probe *probe);

struct fixture {
    struct recording_builder *builder;
    uint64_t thread;
    uint32_t app; /* modules; the library was loaded twice */
    uint32_t library;
    uint32_t library_again;
    struct malloctap_recording *recording;
    struct aggregate aggregate;
    struct symbols *symbols;
    struct ranking ranking;
};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.builder = recording_builder_create()};
    fixture->thread = recording_builder_add_thread(fixture->builder, 101, "main")->thread;
    fixture->app = recording_builder_add_module(fixture->builder, "app", 0, 0x9000, 0);
    fixture->library = recording_builder_add_module(fixture->builder, "lib", 0x10000, 0x20000, 0);
    fixture->library_again =
        recording_builder_add_module(fixture->builder, "lib", 0x30000, 0x40000, 0);
}

static void add(struct fixture *fixture, uint64_t inner, uint64_t outer, uint32_t flags,
                double weight)
{
    static uint64_t address = 0;
    const uint64_t frames[] = {inner, outer};
    uint32_t stack = recording_builder_add_stack(fixture->builder, frames, 2, flags);
    address += 16;
    recording_builder_add_alloc(
        fixture->builder, fixture->thread,
        (struct malloctap_sample){
            .head.stack = stack, .ticks = 2000, .address = address, .size = 10, .weight = weight});
}

static void rank(struct fixture *fixture, struct ranking_query query)
{
    const struct aggregate_query all = {.ops = AGGREGATE_OPS_ALLOC};
    struct malloctap_error error = {{0}};
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_ranking.%d.mtap", getpid());
    assert_int_equal(recording_builder_write(fixture->builder, path), 0);
    if (malloctap_recording_open(path, &fixture->recording, &error) < 0)
        fail_msg("%s", error.text);
    unlink(path);
    assert_int_equal(aggregate_read(fixture->recording, all, &fixture->aggregate, &error), 0);
    fixture->symbols = symbols_create(fixture->recording);
    ranking_create(fixture->recording, fixture->symbols, &fixture->aggregate, query,
                   &fixture->ranking);
}

static void end(struct fixture *fixture)
{
    ranking_deinit(&fixture->ranking);
    symbols_destroy(fixture->symbols);
    aggregate_deinit(&fixture->aggregate);
    malloctap_recording_close(fixture->recording);
    recording_builder_destroy(fixture->builder);
}

static double calls_of(const struct fixture *fixture, size_t row)
{
    assert_true(row < fixture->ranking.count);
    return fixture->ranking.rows[row].sums.calls.value;
}

static void equal_frames_are_one_row(void **state)
{
    struct fixture f;
    begin(&f);
    uint64_t main = recording_builder_frame(f.app, 0x100);
    add(&f, recording_builder_frame(f.library, 0x500), main, 0, 10);
    add(&f, recording_builder_frame(f.library_again, 0x500), main, 0, 20);
    add(&f, recording_builder_frame(f.library, 0x600), main, 0, 40); /* elsewhere, no name */
    rank(&f, (struct ranking_query){0});
    assert_int_equal(f.ranking.count, 2);
    assert_true(calls_of(&f, 0) == 40 && calls_of(&f, 1) == 30);
    assert_int_equal(f.ranking.rows[1].merged, 2);
    assert_true(f.ranking.rows[1].sums.calls.variance == 10 * 9 + 20 * 19);
    end(&f);
}

static void depth_merges_what_differs_further_out(void **state)
{
    struct fixture f;
    begin(&f);
    uint64_t inner = recording_builder_frame(f.library, 0x500);
    add(&f, inner, recording_builder_frame(f.app, 0x100), 0, 10);
    add(&f, inner, recording_builder_frame(f.app, 0x200), 0, 20);
    rank(&f, (struct ranking_query){.depth = 1});
    assert_int_equal(f.ranking.count, 1);
    assert_int_equal(f.ranking.rows[0].path.count, 1);
    assert_int_equal(f.ranking.rows[0].path.hidden, 1);
    end(&f);
}

/* What was cut off may have been anything: no reason to call the two the same. */
static void a_stack_cut_short_is_its_own_row(void **state)
{
    struct fixture f;
    begin(&f);
    uint64_t inner = recording_builder_frame(f.library, 0x500);
    uint64_t outer = recording_builder_frame(f.app, 0x100);
    add(&f, inner, outer, 0, 10);
    add(&f, inner, outer, MALLOCTAP_STACK_TRUNCATED, 20);
    rank(&f, (struct ranking_query){0});
    assert_int_equal(f.ranking.count, 2);
    assert_true(f.ranking.rows[0].path.truncated && !f.ranking.rows[1].path.truncated);
    end(&f);
}

static void functions_are_found_by_pattern(void **state)
{
    struct fixture f;
    Dl_info where;
    assert_int_not_equal(dladdr((const void *)(uintptr_t)orchard_plain, &where), 0);
    uint64_t inside = (uintptr_t)orchard_plain - (uintptr_t)where.dli_fbase + 1;
    static const char *const patterns[] = {"orchard_plain", "*plain*", "plain", "*nosuch*"};
    static const size_t found[] = {1, 1, 0, 0};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        begin(&f);
        recording_builder_header(f.builder)->start_realtime_ns = 4000000000ULL * 1000000000;
        uint32_t orchard =
            recording_builder_add_module(f.builder, ORCHARD_ANONYMOUS, 0x50000, 0x60000, 0x50000);
        uint64_t main = recording_builder_frame(f.app, 0x100);
        add(&f, recording_builder_frame(orchard, inside), main, 0, 10);
        add(&f, recording_builder_frame(f.library, 0x500), main, 0, 20);
        rank(&f, (struct ranking_query){.function = patterns[i]});
        assert_int_equal(f.ranking.count, found[i]);
        end(&f);
    }
}

/* ---- functions ------------------------------------------------------------------------------- */

/* A return address in a function of the orchard. */
static uint64_t within(orchard_function *function, uint32_t module)
{
    Dl_info where;
    assert_int_not_equal(dladdr((const void *)(uintptr_t)function, &where), 0);
    return recording_builder_frame(module, (uintptr_t)function - (uintptr_t)where.dli_fbase + 1);
}

static uint32_t add_orchard(struct fixture *fixture)
{
    recording_builder_header(fixture->builder)->start_realtime_ns = 4000000000ULL * 1000000000;
    return recording_builder_add_module(fixture->builder, ORCHARD_ANONYMOUS, 0x50000, 0x60000,
                                        0x50000);
}

/* Add a call with weight `weight` under functions given innermost first, then NULL. */
static void add_under(struct fixture *fixture, uint32_t orchard, double weight,
                      orchard_function *const *functions)
{
    static uint64_t address = 1 << 20;
    uint64_t frames[8];
    uint32_t count = 0;
    while (functions[count]) {
        frames[count] = within(functions[count], orchard);
        count++;
    }
    address += 16;
    recording_builder_add_alloc(fixture->builder, fixture->thread,
                                (struct malloctap_sample){.head.stack = recording_builder_add_stack(
                                                              fixture->builder, frames, count, 0),
                                                          .ticks = 2000,
                                                          .address = address,
                                                          .size = 10,
                                                          .weight = weight});
}
#define UNDER(...) ((orchard_function *const[]){__VA_ARGS__, NULL})

static void add_failed(struct fixture *fixture, const uint64_t *frames, uint32_t count,
                       double weight)
{
    uint32_t stack = recording_builder_add_stack(fixture->builder, frames, count, 0);
    recording_builder_add_alloc(fixture->builder, fixture->thread,
                                (struct malloctap_sample){.head.stack = stack,
                                                          .ticks = 2000,
                                                          .size = 10,
                                                          .weight = weight,
                                                          .flags = MALLOCTAP_SAMPLE_FAILED});
}

static const struct ranking_row *function_row(const struct fixture *fixture, const char *name)
{
    for (size_t i = 0; i < fixture->ranking.count; i++)
        if (!strcmp(fixture->ranking.rows[i].path.frames[0]->function, name))
            return &fixture->ranking.rows[i];
    fail_msg("no row for %s", name);
    return NULL;
}

static void functions_have_all_that_is_under_them(void **state)
{
    struct fixture f;
    begin(&f);
    uint32_t orchard = add_orchard(&f);
    add_under(&f, orchard, 10, UNDER(orchard_plain, orchard_cxx, orchard_through_static));
    add_under(&f, orchard, 20, UNDER(orchard_rust, orchard_cxx, orchard_through_static));
    add_under(&f, orchard, 5, UNDER(orchard_plain, orchard_through_static));
    rank(&f, (struct ranking_query){.callers = true});
    assert_int_equal(f.ranking.count, 4);
    assert_true(function_row(&f, "orchard_through_static")->sums.calls.value == 35);
    assert_true(function_row(&f, "orchard::Tree::grow")->sums.calls.value == 30);
    assert_true(function_row(&f, "orchard::tree::prune")->sums.calls.value == 20);
    assert_true(function_row(&f, "orchard_plain")->sums.calls.variance == 10 * 9 + 5 * 4);
    assert_int_equal(f.ranking.rows[0].path.frames[0]->line, 0);
    const struct ranking_row *common =
        ranking_common_function(&f.ranking, RANKING_BY_CALLS, f.aggregate.all.calls.value);
    assert_ptr_equal(common, function_row(&f, "orchard::Tree::grow"));
    end(&f);
}

static void a_function_that_calls_itself_counts_once(void **state)
{
    struct fixture f;
    begin(&f);
    uint32_t orchard = add_orchard(&f);
    add_under(&f, orchard, 10,
              UNDER(orchard_plain, orchard_cxx, orchard_plain, orchard_cxx, orchard_plain));
    rank(&f, (struct ranking_query){.callers = true});
    assert_true(function_row(&f, "orchard_plain")->sums.calls.value == 10);
    assert_true(function_row(&f, "orchard::Tree::grow")->sums.calls.value == 10);
    end(&f);
}

/* Everybody allocates through it, so that it says nothing. */
static void a_wrapper_is_not_the_common_function(void **state)
{
    struct fixture f;
    begin(&f);
    uint32_t orchard = add_orchard(&f);
    add_under(&f, orchard, 1, UNDER(orchard_plain, orchard_cxx, orchard_through_static));
    add_under(&f, orchard, 1, UNDER(orchard_plain, orchard_rust, orchard_through_static));
    add_under(&f, orchard, 1, UNDER(orchard_plain, orchard_old_rust, orchard_through_static));
    add_under(&f, orchard, 1, UNDER(orchard_plain, orchard_through_inlined));
    rank(&f, (struct ranking_query){.callers = true});
    const struct ranking_row *common = ranking_common_function(&f.ranking, RANKING_BY_CALLS, 4);
    assert_ptr_equal(common, function_row(&f, "orchard_through_static"));
    assert_null(ranking_common_function(&f.ranking, RANKING_BY_CALLS, 100));
    end(&f);
}

static void samples_without_a_stack_are_a_row(void **state)
{
    struct fixture f;
    begin(&f);
    recording_builder_add_alloc(
        f.builder, f.thread,
        (struct malloctap_sample){.ticks = 2000, .address = 16, .size = 10, .weight = 3});
    rank(&f, (struct ranking_query){0});
    assert_int_equal(f.ranking.count, 1);
    assert_int_equal(f.ranking.rows[0].path.count, 0);
    assert_true(calls_of(&f, 0) == 3);
    end(&f);
}

/* A call that failed asked for no bytes: it adds nothing to what is ranked, and is a call. */
static void a_row_has_all_its_calls_whatever_it_is_ranked_by(void **state)
{
    for (int callers = 0; callers < 2; callers++) {
        struct fixture f;
        begin(&f);
        uint32_t orchard = add_orchard(&f);
        const uint64_t plain[] = {within(orchard_plain, orchard), within(orchard_rust, orchard)};
        const uint64_t failing[] = {within(orchard_old_rust, orchard)};
        add(&f, plain[0], within(orchard_cxx, orchard), 0, 10);
        add_failed(&f, plain, 2, 20);
        add_failed(&f, failing, 1, 40);
        rank(&f,
             (struct ranking_query){.by = RANKING_BY_BYTES, .depth = 1, .callers = callers != 0});
        assert_int_equal(f.ranking.count, callers ? 2 : 1);
        assert_true(function_row(&f, "orchard_plain")->sums.calls.value == 30);
        assert_int_equal(function_row(&f, "orchard_plain")->merged, 2);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_frames_are_one_row),
        cmocka_unit_test(depth_merges_what_differs_further_out),
        cmocka_unit_test(a_stack_cut_short_is_its_own_row),
        cmocka_unit_test(functions_are_found_by_pattern),
        cmocka_unit_test(functions_have_all_that_is_under_them),
        cmocka_unit_test(a_function_that_calls_itself_counts_once),
        cmocka_unit_test(a_wrapper_is_not_the_common_function),
        cmocka_unit_test(samples_without_a_stack_are_a_row),
        cmocka_unit_test(a_row_has_all_its_calls_whatever_it_is_ranked_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
