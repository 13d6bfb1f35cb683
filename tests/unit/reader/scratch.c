/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

const char *scratch_path(void)
{
    if (path[0] == '\0') {
        strcpy(path, "/tmp/malloctap-reader-XXXXXX");
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        atexit(remove_file);
    }
    return path;
}

void scratch_write(const void *bytes, size_t size)
{
    FILE *file = fopen(scratch_path(), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

struct malloctap_recording *scratch_reopen(void)
{
    struct malloctap_recording *recording;
    struct malloctap_error error = {0};
    if (malloctap_recording_open(scratch_path(), &recording, &error) != 0)
        fail_msg("%s", error.text);
    return recording;
}

struct malloctap_recording *scratch_open(struct recording_builder *builder)
{
    assert_int_equal(recording_builder_write(builder, scratch_path()), 0);
    recording_builder_destroy(builder);
    return scratch_reopen();
}

void scratch_expect_error(const struct malloctap_error *error, const char *text)
{
    char expected[sizeof(error->text) + 64];
    snprintf(expected, sizeof(expected), "%s: %s", scratch_path(), text);
    assert_string_equal(error->text, expected);
}

void scratch_expect_refused(const char *text)
{
    struct malloctap_recording *recording = NULL;
    struct malloctap_error error = {0};
    assert_int_equal(malloctap_recording_open(scratch_path(), &recording, &error), -1);
    assert_null(recording);
    scratch_expect_error(&error, text);
    assert_int_equal(malloctap_recording_open(scratch_path(), &recording, NULL), -1);
}
