/* SPDX-License-Identifier: MIT */
/* Where recordings go, what is never replaced, and which are found afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <output.h>
#include <recording_builder.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tap tap;
static char message[8192];

static void recording_write(const char *name, uint32_t pid, uint64_t start_ns, uint64_t calls)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    header->pid = pid;
    header->start_realtime_ns = start_ns;
    recording_builder_add_thread(builder, pid, "main")->counters.calls[MALLOCTAP_OP_MALLOC][5] =
        calls;
    assert_int_equal(recording_builder_write(builder, folder_path(name)), 0);
    recording_builder_destroy(builder);
}

static bool prepared(const char *file, bool force)
{
    return output_prepare(&tap, file, "/usr/bin/program", force, message, sizeof message) == 0;
}

static bool there(const char *name)
{
    struct stat status;
    return lstat(folder_path(name), &status) == 0;
}

static void by_default_named_after_the_program(void **state)
{
    char before[PATH_MAX], path[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_true(prepared(NULL, false));
    tap_output(&tap, 123, path, sizeof path);
    assert_string_equal(path, folder_path("malloctap.program.123.mtap"));
    assert_true(prepared("relative.mtap", false));
    tap_output(&tap, 123, path, sizeof path);
    assert_string_equal(path, folder_path("relative.mtap"));
    assert_int_equal(chdir(before), 0);
}

static void unusable_places(void **state)
{
    char path[2 * PATH_MAX];
    assert_false(prepared(folder_path("none/x.mtap"), false));
    assert_non_null(strstr(message, "create it"));
    assert_false(prepared(folder, false));
    assert_non_null(strstr(message, "is a directory"));
    assert_false(prepared(folder_path(""), false));
    assert_false(prepared("", false));
    snprintf(path, sizeof path, "%s/%0*d.mtap", folder, 1500, 0);
    assert_false(prepared(path, false));
    if (getuid() == 0)
        return; /* nothing is read-only for root */
    mkdir(folder_path("locked"), 0555);
    assert_false(prepared(folder_path("locked/x.mtap"), false));
    assert_non_null(strstr(message, "Permission denied"));
}

static void only_recordings_are_replaced(void **state)
{
    recording_write("old.mtap", 1, 1, 1);
    assert_false(prepared(folder_path("old.mtap"), false));
    assert_non_null(strstr(message, "-f replaces it"));
    assert_true(there("old.mtap"));
    assert_true(prepared(folder_path("old.mtap"), true));
    assert_false(there("old.mtap"));

    folder_write("letter.txt", "Dear reader", 0600);
    assert_false(prepared(folder_path("letter.txt"), true));
    assert_non_null(strstr(message, "no recording"));
    assert_true(there("letter.txt"));

    recording_write("target.mtap", 1, 1, 1);
    assert_int_equal(symlink(folder_path("target.mtap"), folder_path("link.mtap")), 0);
    assert_false(prepared(folder_path("link.mtap"), true));
    assert_true(there("target.mtap") && there("link.mtap"));
    assert_int_equal(symlink("/nonexistent", folder_path("dangling.mtap")), 0);
    assert_false(prepared(folder_path("dangling.mtap"), true));
}

static void those_of_a_run_are_found(void **state)
{
    struct output_recordings all;
    recording_write("run.mtap", 100, 1000, 10);
    recording_write("run.101.mtap", 101, 2000, 30);
    recording_write("run.100.mtap", 100, 3000, 20);   /* executed by the first */
    recording_write("run.101.2.mtap", 101, 4000, 40); /* executed by the second */
    recording_write("run.102.mtap", 102, 999, 1);     /* of an earlier run */
    recording_write("runs.103.mtap", 103, 5000, 1);
    recording_write("run.x.mtap", 104, 5000, 1);
    recording_write("run.105.mtap.bak", 105, 5000, 1);
    folder_write("run.106.mtap", "damaged", 0600);

    output_find(folder_path("run.mtap"), 1000, &all);
    assert_int_equal(all.count, 4);
    assert_string_equal(all.rows[0].path, folder_path("run.101.2.mtap"));
    assert_int_equal(all.rows[0].calls, 40);
    assert_int_equal(all.rows[3].calls, 10);
    /* what the process became, not what it began as */
    assert_int_equal(output_of_process(&all, 100)->calls, 20);
    assert_null(output_of_process(&all, 102));
    output_recordings_deinit(&all);

    output_find(folder_path("none/run.mtap"), 0, &all);
    assert_int_equal(all.count, 0);
    output_recordings_deinit(&all);
}

static void names_need_no_suffix(void **state)
{
    struct output_recordings all;
    recording_write("bare", 200, 1, 1);
    recording_write("bare.201.mtap", 201, 1, 1);
    output_find(folder_path("bare"), 0, &all);
    assert_int_equal(all.count, 2);
    output_recordings_deinit(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_default_named_after_the_program),
        cmocka_unit_test(unusable_places),
        cmocka_unit_test(only_recordings_are_replaced),
        cmocka_unit_test(those_of_a_run_are_found),
        cmocka_unit_test(names_need_no_suffix),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
