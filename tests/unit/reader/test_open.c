/* SPDX-License-Identifier: MIT */
/* Whatever is wrong with a file is said in one line: what, where, what to do. */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define AGAIN "; make the recording again, or take it from a backup"
#define COPY "; copy the whole recording again"
#define HEADER_OFFSET(field) offsetof(struct malloctap_header, field)
#define EXTENT_OFFSET(index, field)                                                                \
    (offsetof(struct malloctap_header, extents) + (index) * sizeof(struct malloctap_extent) +      \
     offsetof(struct malloctap_extent, field))

/* One thread, one stack, one module, one record: extents 0 ... 3 of 4096 bytes from 32768 on. */
static struct recording_builder *small_recording(void)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_thread_slot *thread = recording_builder_add_thread(builder, 100, "main");
    uint32_t module = recording_builder_add_module(builder, "/bin/x", 0x1000, 0x2000, 0);
    uint64_t frame = recording_builder_frame(module, 0x1234);
    uint32_t stack = recording_builder_add_stack(builder, &frame, 1, 0);
    recording_builder_add_alloc(
        builder, thread->thread,
        (struct malloctap_sample){.head = {.stack = stack}, .ticks = 2000, .weight = 1});
    return builder;
}

static void test_valid(void **state)
{
    struct malloctap_recording *recording = scratch_open(small_recording());
    const struct malloctap_header *header = malloctap_recording_header(recording);
    assert_string_equal(malloctap_recording_path(recording), scratch_path());
    assert_string_equal(header->executable, "/usr/bin/example");
    assert_int_equal(header->extent_count, 4);
    assert_int_equal(malloctap_recording_check(recording, NULL), 0);
    malloctap_recording_close(recording);
    malloctap_recording_close(NULL);
}

/* A field of the small recording overwritten, and what the reader says. */
struct damage {
    size_t offset;
    size_t size;
    uint64_t value;
    const char *error;
};

static const struct damage damages[] = {
    {HEADER_OFFSET(magic), 8, 0x464c457f,
     "not a malloctap recording (bad magic at offset 0); record one with 'malloctap run'"},
    {HEADER_OFFSET(magic), 8, 0,
     "not a malloctap recording yet (no magic at offset 0); wait until the program has started, or "
     "record again"},
    {HEADER_OFFSET(magic), 8, 0x4d414c435441500aULL,
     "recorded on a machine of foreign byte order (magic at offset 0); read it on a machine of "
     "that "
     "kind"},
    {HEADER_OFFSET(byte_order), 4, 0x04030201,
     "damaged header (byte_order is 67305985 at offset 12)" AGAIN},
    {HEADER_OFFSET(version), 4, 3,
     "written by a newer malloctap (format version 3, this one reads up to 1); update malloctap"},
    {HEADER_OFFSET(version), 4, 0, "damaged header (version is 0 at offset 8)" AGAIN},
    {HEADER_OFFSET(features), 8, 0x80,
     "uses features this malloctap does not know (bits 0x80 at offset 24); update malloctap"},
    {HEADER_OFFSET(header_size), 4, 32769,
     "damaged header (header_size is 32769 at offset 16)" AGAIN},
    {HEADER_OFFSET(header_size), 4, 0x40000000,
     "damaged header (header_size is 1073741824 at offset 16)" AGAIN},
    {HEADER_OFFSET(header_size), 4, 8192,
     "damaged header (header_used is 22496 at offset 20)" AGAIN},
    {HEADER_OFFSET(header_used), 4, 100, "damaged header (header_used is 100 at offset 20)" AGAIN},
    {HEADER_OFFSET(header_size), 4, 1 << 20,
     "truncated at 49152 bytes, the header needs 1048576" COPY},
    {HEADER_OFFSET(state), 4, 3, "damaged header (state is 3 at offset 32)" AGAIN},
    {HEADER_OFFSET(mode), 4, 0, "damaged header (mode is 0 at offset 36)" AGAIN},
    {HEADER_OFFSET(mode), 4, 4, "damaged header (mode is 4 at offset 36)" AGAIN},
    {HEADER_OFFSET(pointer_bits), 4, 32, "damaged header (pointer_bits is 32 at offset 52)" AGAIN},
    {HEADER_OFFSET(chunk_size), 4, 0, "damaged header (chunk_size is 0 at offset 60)" AGAIN},
    {HEADER_OFFSET(chunk_size), 4, 100, "damaged header (chunk_size is 100 at offset 60)" AGAIN},
    {HEADER_OFFSET(chunk_size), 4, 0x80000000,
     "damaged header (chunk_size is 2147483648 at offset 60)" AGAIN},
    {HEADER_OFFSET(clock_mult), 8, 0, "damaged header (clock_mult is 0 at offset 88)" AGAIN},
    {HEADER_OFFSET(clock_shift), 8, 64, "damaged header (clock_shift is 64 at offset 96)" AGAIN},
    {HEADER_OFFSET(extent_count), 4, 513,
     "damaged header (extent_count is 513 at offset 10200)" AGAIN},
    {EXTENT_OFFSET(0, offset), 8, 32769,
     "damaged header (THREADS extent of 4096 bytes at offset 32769 is not aligned to 4096)" AGAIN},
    {EXTENT_OFFSET(0, offset), 8, 4096,
     "damaged header (THREADS extent of 4096 bytes at offset 4096 overlaps the header)" AGAIN},
    {EXTENT_OFFSET(1, size), 8, 0,
     "damaged header (DEPOT extent of 0 bytes at offset 36864 does not hold whole entries)" AGAIN},
    {EXTENT_OFFSET(1, size), 8, 4000,
     "damaged header (DEPOT extent of 4000 bytes at offset 36864 does not hold whole "
     "entries)" AGAIN},
    {EXTENT_OFFSET(1, size), 8, 0xfffffffffffff000,
     "damaged header (DEPOT extent of 18446744073709547520 bytes at offset 36864 ends beyond any "
     "file)" AGAIN},
    {EXTENT_OFFSET(1, offset), 8, 0x7ffffffffffff000,
     "damaged header (DEPOT extent of 4096 bytes at offset 9223372036854771712 ends beyond any "
     "file)" AGAIN},
    {EXTENT_OFFSET(3, size), 8, 8192,
     "truncated at 49152 bytes, its CHUNKS extent ends at 53248" COPY},
    {EXTENT_OFFSET(0, size), 8, 8192,
     "damaged header (DEPOT extent of 4096 bytes at offset 36864 overlaps another)" AGAIN},
};

static void test_damaged_header(void **state)
{
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        size_t size;
        struct recording_builder *builder = small_recording();
        uint8_t *image = recording_builder_image(builder, &size);
        memcpy(image + damages[i].offset, &damages[i].value, damages[i].size);
        scratch_write(image, size);
        scratch_expect_refused(damages[i].error);
        free(image);
        recording_builder_destroy(builder);
    }
}

static void test_chunks_of_part(void **state)
{
    size_t size;
    struct recording_builder *builder = small_recording();
    uint8_t *image = recording_builder_image(builder, &size);
    ((struct malloctap_header *)image)->chunk_size = 65536;
    scratch_write(image, size);
    scratch_expect_refused("damaged header (CHUNKS extent of 4096 bytes at offset 45056 does not "
                           "hold whole entries)" AGAIN);
    free(image);
    recording_builder_destroy(builder);
}

static void test_truncated(void **state)
{
    static const struct {
        size_t size;
        const char *error;
    } cuts[] = {
        {0, "not a malloctap recording (it is empty); record one with 'malloctap run'"},
        {7, "not a malloctap recording (bad magic at offset 0); record one with 'malloctap run'"},
        {8, "truncated at 8 bytes, the header needs 32768" COPY},
        {1234, "truncated at 1234 bytes, the header needs 32768" COPY},
        {32768, "truncated at 32768 bytes, its THREADS extent ends at 36864" COPY},
        {49151, "truncated at 49151 bytes, its CHUNKS extent ends at 49152" COPY},
    };
    size_t size;
    struct recording_builder *builder = small_recording();
    uint8_t *image = recording_builder_image(builder, &size);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        scratch_write(image, cuts[i].size);
        scratch_expect_refused(cuts[i].error);
    }
    free(image);
    recording_builder_destroy(builder);
}

/* Wherever a recording is cut, it is refused: no cut looks like a whole recording. */
static void test_every_truncation(void **state)
{
    size_t size;
    struct recording_builder *builder = small_recording();
    uint8_t *image = recording_builder_image(builder, &size);
    scratch_write(image, size);
    while (size > 0) {
        struct malloctap_recording *recording;
        size -= size > 512 ? 512 : 1;
        assert_int_equal(truncate(scratch_path(), (off_t)size), 0);
        assert_int_equal(malloctap_recording_open(scratch_path(), &recording, NULL), -1);
    }
    free(image);
    recording_builder_destroy(builder);
}

static void expect_open_error(const char *path, const char *text)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    assert_int_equal(malloctap_recording_open(path, &recording, &error), -1);
    assert_string_equal(error.text, text);
}

static void test_not_a_file(void **state)
{
    expect_open_error(
        "/nonexistent/x.mtap",
        "/nonexistent/x.mtap: cannot be opened (No such file or directory); check the "
        "path and that you may read it");
    expect_open_error("/tmp", "/tmp: not a recording (it is a directory); name a file made by "
                              "'malloctap run'");
    expect_open_error("/dev/null", "/dev/null: not a recording (not a regular file); name a file "
                                   "made by 'malloctap run'");
}

/* Opening must not wait for someone to write into it. */
static void test_fifo(void **state)
{
    char path[80];
    snprintf(path, sizeof(path), "%s.fifo", scratch_path());
    assert_int_equal(mkfifo(path, 0600), 0);
    struct malloctap_recording *recording;
    assert_int_equal(malloctap_recording_open(path, &recording, NULL), -1);
    unlink(path);
}

/* One line that fits, whatever the file is called. */
static void test_error_is_one_line(void **state)
{
    char path[2000];
    struct malloctap_error error;
    struct malloctap_recording *recording;
    memset(path, 'a', sizeof(path));
    strcpy(path + sizeof(path) - 10, "\nend.mtap");
    assert_int_equal(malloctap_recording_open(path, &recording, &error), -1);
    assert_memory_equal(error.text, "...aaa", 6);
    assert_non_null(strstr(error.text, "a?end.mtap: cannot be opened (File name too long); check"));
}

static void test_unknown_extents_are_skipped(void **state)
{
    size_t size;
    struct recording_builder *builder = small_recording();
    uint8_t *image = recording_builder_image(builder, &size);
    struct malloctap_header *header = (struct malloctap_header *)image;
    header->extents[4] = (struct malloctap_extent){.kind = 99, .offset = 1, .size = 1};
    header->extents[5] = (struct malloctap_extent){.kind = 0, .offset = 1, .size = 1};
    header->extents[6] = header->extents[3];
    header->extents[3].kind = 0; /* as while it is being added */
    header->extent_count = 7;
    scratch_write(image, size);
    struct malloctap_recording *recording = scratch_reopen();
    const struct malloctap_header *read = malloctap_recording_header(recording);
    assert_int_equal(read->extent_count, 4);
    assert_int_equal(read->extents[3].kind, MALLOCTAP_EXTENT_CHUNKS);
    malloctap_recording_close(recording);
    free(image);
    recording_builder_destroy(builder);
}

/* A later minor release may write a longer header: its extents start further back. */
static void test_longer_header(void **state)
{
    size_t size;
    struct recording_builder *builder = small_recording();
    uint8_t *image = recording_builder_image(builder, &size);
    struct malloctap_header *header = (struct malloctap_header *)image;
    header->header_size = 36864; /* the THREADS extent becomes part of the header */
    header->header_used = 36864;
    header->extents[0].kind = 0;
    scratch_write(image, size);
    struct malloctap_recording *recording = scratch_reopen();
    assert_int_equal(malloctap_recording_header(recording)->extent_count, 3);
    malloctap_recording_close(recording);
    free(image);
    recording_builder_destroy(builder);
}

static void test_strings_end(void **state)
{
    struct recording_builder *builder = small_recording();
    struct malloctap_header *header = recording_builder_header(builder);
    memset(header->executable, 'x', sizeof(header->executable));
    memset(header->command_line, 'x', sizeof(header->command_line));
    memset(header->backend, 'x', sizeof(header->backend));
    memset(header->backend_object, 'x', sizeof(header->backend_object));
    memset(header->options, 'x', sizeof(header->options));
    struct malloctap_recording *recording = scratch_open(builder);
    const struct malloctap_header *read = malloctap_recording_header(recording);
    assert_int_equal(strlen(read->executable), sizeof(read->executable) - 1);
    assert_int_equal(strlen(read->command_line), sizeof(read->command_line) - 1);
    assert_int_equal(strlen(read->backend), sizeof(read->backend) - 1);
    assert_int_equal(strlen(read->backend_object), sizeof(read->backend_object) - 1);
    assert_int_equal(strlen(read->options), sizeof(read->options) - 1);
    malloctap_recording_close(recording);
}

static void test_clock(void **state)
{
    struct recording_builder *builder = small_recording();
    struct malloctap_header *header = recording_builder_header(builder);
    header->start_ticks = 5000;
    header->end_ticks = 5000 + (1ULL << 60);
    header->clock_mult = 3ULL << 30;
    header->clock_shift = 31; /* 1.5 ns a tick */
    struct malloctap_recording *recording = scratch_open(builder);
    assert_int_equal(malloctap_recording_ns(recording, 4999), 0);
    assert_int_equal(malloctap_recording_ns(recording, 5000), 0);
    assert_int_equal(malloctap_recording_ns(recording, 5001), 1);
    assert_int_equal(malloctap_recording_ns(recording, 5002), 3);
    const uint64_t ticks[] = {5000, 5001, 5002, 5002, 5003, 5004};
    for (uint64_t ns = 0; ns < sizeof(ticks) / sizeof(ticks[0]); ns++)
        assert_int_equal(malloctap_recording_ticks(recording, ns), ticks[ns]);
    assert_true(malloctap_recording_duration_ns(recording) == 3ULL << 59);
    malloctap_recording_close(recording);
}

static void test_clock_saturates(void **state)
{
    struct recording_builder *builder = small_recording();
    recording_builder_header(builder)->clock_mult = UINT64_MAX;
    struct malloctap_recording *recording = scratch_open(builder);
    assert_true(malloctap_recording_ns(recording, UINT64_MAX) == UINT64_MAX);
    malloctap_recording_close(recording);

    builder = small_recording();
    recording_builder_header(builder)->clock_shift = 63;
    recording = scratch_open(builder);
    assert_true(malloctap_recording_ticks(recording, UINT64_MAX) == UINT64_MAX);
    malloctap_recording_close(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_damaged_header),
        cmocka_unit_test(test_chunks_of_part),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_error_is_one_line),
        cmocka_unit_test(test_unknown_extents_are_skipped),
        cmocka_unit_test(test_longer_header),
        cmocka_unit_test(test_strings_end),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_clock_saturates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
