/* SPDX-License-Identifier: MIT */
/* Which stacks become one row, and which are shown apart. */
#include "leaks_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct grouped {
    struct fixture f;
    uint32_t app, plugin, libc, loader;
    uint64_t next;
    struct suppressions hidden;
    struct symbols *symbols;
    struct leaks_groups groups;
};

static struct grouped begin_groups(void)
{
    struct grouped g = {.f = begin(MALLOCTAP_MODE_LOG)};
    struct recording_builder *builder = g.f.builder;
    g.app = recording_builder_add_module(builder, "/opt/app", 0, 0x9000, 0);
    g.plugin = recording_builder_add_module(builder, "/opt/libplugin.so", 0x10000, 0x19000, 0);
    g.libc = recording_builder_add_module(builder, "/lib/libc.so.6", 0x20000, 0x29000, 0);
    g.loader =
        recording_builder_add_module(builder, "/lib/ld-linux-x86-64.so.2", 0x30000, 0x39000, 0);
    return g;
}

/* One block of `size`, allocated through two frames. */
static void add_path(struct grouped *g, uint32_t inner, uint32_t outer, uint64_t outer_offset,
                     uint32_t flags, uint64_t size)
{
    const uint64_t frames[] = {recording_builder_frame(inner, 0x100),
                               recording_builder_frame(outer, outer_offset)};
    uint32_t stack = recording_builder_add_stack(g->f.builder, frames, 2, flags);
    g->next++;
    add_malloc(&g->f, g->f.first, g->next, stack, g->next * 16, size);
}

static void group(struct grouped *g, size_t depth, bool runtime)
{
    read_leaks(&g->f, the_end);
    g->symbols = symbols_create(g->f.recording);
    leaks_group(g->f.recording, g->symbols, &g->f.leaks,
                (struct leaks_grouping){.depth = depth, .runtime = runtime, .hidden = &g->hidden},
                &g->groups);
}

static void end_groups(struct grouped *g)
{
    leaks_groups_deinit(&g->groups);
    symbols_destroy(g->symbols);
    suppressions_deinit(&g->hidden);
    end(&g->f);
}

static void rows_are_sorted_and_merged(void **state)
{
    struct grouped g = begin_groups();
    add_path(&g, g.plugin, g.app, 0x200, 0, 10);
    add_path(&g, g.app, g.app, 0x200, 0, 25);
    add_path(&g, g.plugin, g.app, 0x300, 0, 20);
    group(&g, 1, false);
    assert_int_equal(g.groups.count, 2);
    assert_true(g.groups.rows[0].sums.bytes.value == 30 && g.groups.rows[0].merged == 2);
    assert_true(g.groups.all.bytes.value == 55);
    end_groups(&g);
}

static void the_runtimes_own_blocks_are_apart(void **state)
{
    struct grouped g = begin_groups();
    add_path(&g, g.loader, g.app, 0x200, 0, 1);                        /* dlopen */
    add_path(&g, g.libc, g.loader, 0x200, 0, 2);                       /* an initialiser */
    add_path(&g, g.libc, g.app, 0x200, 0, 4);                          /* strdup */
    add_path(&g, g.libc, g.libc, 0x200, MALLOCTAP_STACK_TRUNCATED, 8); /* whose, is cut off */
    add_path(&g, g.app, g.loader, 0x200, 0, 16);                       /* a constructor */
    group(&g, 0, false);
    assert_true(g.groups.runtime.bytes.value == 1 + 2);
    assert_true(g.groups.all.bytes.value == 4 + 8 + 16);
    end_groups(&g);
}

static void the_runtimes_own_blocks_are_shown_when_asked_for(void **state)
{
    struct grouped g = begin_groups();
    add_path(&g, g.loader, g.app, 0x200, 0, 1);
    group(&g, 0, true);
    assert_true(g.groups.all.bytes.value == 1 && g.groups.runtime.bytes.value == 0);
    end_groups(&g);
}

/* Frames that are cut off by the depth are looked at all the same. */
static void suppressions_look_at_all_frames(void **state)
{
    static const char text[] = "leak:nothing\nleak:/opt/app$\n";
    struct grouped g = begin_groups();
    struct malloctap_error error;
    assert_int_equal(suppressions_parse(&g.hidden, "x", text, sizeof text - 1, &error), 0);
    add_path(&g, g.plugin, g.app, 0x200, 0, 10);
    add_path(&g, g.plugin, g.plugin, 0x200, 0, 20);
    group(&g, 1, false);
    assert_int_equal(g.groups.count, 1);
    assert_true(g.groups.rows[0].sums.bytes.value == 20);
    assert_true(g.groups.suppressed.bytes.value == 10);
    assert_true(g.groups.by_pattern[0].bytes.value == 0 &&
                g.groups.by_pattern[1].bytes.value == 10);
    end_groups(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_merged),
        cmocka_unit_test(the_runtimes_own_blocks_are_apart),
        cmocka_unit_test(the_runtimes_own_blocks_are_shown_when_asked_for),
        cmocka_unit_test(suppressions_look_at_all_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
