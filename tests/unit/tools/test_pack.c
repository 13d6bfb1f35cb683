/* SPDX-License-Identifier: MIT */
/* Packed recordings: the same records, no recording lost, no damage taken for data. */
#include "folder.h"
#include "pack.h"
#include "recording_builder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

static const struct pack_options fast = {.level = 1};

/* ---- files ----------------------------------------------------------------------------------- */

struct bytes {
    uint8_t *bytes;
    size_t size;
};

/* The whole file; free() its bytes. */
static struct bytes load(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    struct bytes file = {malloc((size_t)status.st_size + 1), (size_t)status.st_size};
    assert_int_equal(read(fd, file.bytes, file.size), file.size);
    close(fd);
    return file;
}

static void store(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(close(fd), 0);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* A log of some chunks in a file of this name. */
static const char *record(const char *name, uint32_t state, uint64_t calls)
{
    struct recording_builder *builder = recording_builder_create();
    struct malloctap_header *header = recording_builder_header(builder);
    header->state = state;
    header->pid = (uint32_t)getpid();
    recording_builder_add_thread(builder, 4711, "main");
    for (uint64_t i = 0; i < calls; i++) {
        struct recording_builder_call call = {.op = MALLOCTAP_OP_MALLOC,
                                              .ticks = 1000 + i,
                                              .address = 0x10000 + 16 * (i * i % 1000),
                                              .size = i};
        recording_builder_add_call(builder, 1, &call);
    }
    const char *path = folder_path(name);
    assert_int_equal(recording_builder_write(builder, path), 0);
    recording_builder_destroy(builder);
    return path;
}

/* Read all calls; the first failure in *error. */
static uint64_t count_calls(const char *path, struct malloctap_error *error)
{
    struct malloctap_recording *recording;
    struct malloctap_cursor *cursor;
    struct malloctap_event event;
    uint64_t count = 0;
    error->text[0] = '\0';
    if (malloctap_recording_open(path, &recording, error) != 0)
        return 0;
    assert_int_equal(malloctap_cursor_open(recording, &cursor, NULL), 0);
    while (malloctap_cursor_next(cursor, &event, NULL) == 1) {
        if (((const struct malloctap_sample *)event.record)->size == count)
            count++;
    }
    malloctap_cursor_close(cursor);
    malloctap_recording_check(recording, error);
    malloctap_recording_close(recording);
    return count;
}

static void expect_calls(const char *path, uint64_t calls)
{
    struct malloctap_error error;
    uint64_t count = count_calls(path, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(count, calls);
}

static void pack(const char *path, struct pack_options options)
{
    struct pack_result result;
    struct malloctap_error error;
    if (pack_recording(path, options, &result, &error) != 0)
        fail_msg("%s", error.text);
    assert_true(exists(result.path));
    free(result.path);
}

static void expect_refused(const char *path, struct pack_options options, const char *text)
{
    struct pack_result result;
    struct malloctap_error error;
    assert_int_equal(pack_recording(path, options, &result, &error), -1);
    const char *said = strstr(error.text, ": ");
    assert_non_null(said);
    assert_string_equal(said + 2, text);
}

/* ---- packing --------------------------------------------------------------------------------- */

enum { CALLS = 50000 };

static void test_replaces_the_recording(void **state)
{
    const char *path = record("a.mtap", MALLOCTAP_STATE_FINISHED, CALLS);
    const struct timespec times[] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    pack(path, fast);
    assert_false(exists(path));
    struct stat status;
    assert_int_equal(stat(folder_path("a.mtap.zst"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(status.st_mtim.tv_sec, 2000);
    expect_calls(folder_path("a.mtap.zst"), CALLS);
}

static void test_keeps_the_recording(void **state)
{
    const char *path = record("b.mtap", MALLOCTAP_STATE_FINISHED, CALLS);
    const char *out = folder_path("elsewhere.zst");
    pack(path, (struct pack_options){.out = out, .level = 3, .keep = true});
    expect_calls(path, CALLS);
    expect_calls(out, CALLS);
}

static void expect_same(const char *left, const char *right)
{
    struct bytes one = load(left), other = load(right);
    assert_int_equal(one.size, other.size);
    assert_int_equal(memcmp(one.bytes, other.bytes, one.size), 0);
    free(one.bytes);
    free(other.bytes);
}

/* What a decoder of zstd makes of a packed recording of this size. */
static uint8_t *decompress(const char *path, size_t size)
{
    struct bytes packed = load(path);
    uint8_t *after = malloc(size);
    assert_int_equal(ZSTD_decompress(after, size, packed.bytes, packed.size), size);
    free(packed.bytes);
    return after;
}

/* Without a log any decoder of zstd gets the recording back, byte for byte. */
static void test_is_plain_zstd(void **state)
{
    const char *path = record("c.mtap", MALLOCTAP_STATE_FINISHED, 0);
    pack(path, (struct pack_options){.level = 1, .keep = true});
    struct bytes before = load(path);
    uint8_t *after = decompress(folder_path("c.mtap.zst"), before.size);
    assert_memory_equal(before.bytes, after, before.size);
    free(before.bytes);
    free(after);
}

/* A log takes a small part of what it did, and comes back. */
static void test_log_is_in_columns(void **state)
{
    const char *path = record("k.mtap", MALLOCTAP_STATE_FINISHED, CALLS);
    pack(path, (struct pack_options){.level = 3, .keep = true});
    struct bytes packed = load(folder_path("k.mtap.zst"));
    assert_true(packed.size < 4 * CALLS);
    free(packed.bytes);
    struct pack_result result;
    struct malloctap_error error;
    struct pack_options options = {.out = folder_path("k2.mtap"), .keep = true};
    assert_int_equal(unpack_recording(folder_path("k.mtap.zst"), options, &result, &error), 0);
    expect_same(path, result.path);
    free(result.path);
}

/* A decoder of zstd makes of it what no reader takes for a recording. */
static void test_log_unpacked_by_zstd(void **state)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    pack(record("l.mtap", MALLOCTAP_STATE_FINISHED, CALLS), fast);
    struct bytes packed = load(folder_path("l.mtap.zst"));
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer from = {packed.bytes, packed.size, 0};
    ZSTD_outBuffer to = {malloc(64 * CALLS), 64 * CALLS, 0};
    while (from.pos < from.size)
        assert_false(ZSTD_isError(ZSTD_decompressStream(stream, &to, &from)));
    store(folder_path("l.mtap"), to.dst, to.pos);
    assert_int_equal(malloctap_recording_open(folder_path("l.mtap"), &recording, &error), -1);
    assert_non_null(strstr(error.text,
                           "unpacked by zstd, which leaves its log in columns (bit 0x1 at "
                           "offset 24); unpack it anew with 'malloctap pack -d'"));
    ZSTD_freeDStream(stream);
    free(to.dst);
    free(packed.bytes);
}

static void test_unpacking(void **state)
{
    struct pack_result result;
    struct malloctap_error error;
    const char *path = record("m.mtap", MALLOCTAP_STATE_FINISHED, CALLS);
    pack(path, (struct pack_options){.level = 1, .out = folder_path("m2.mtap.zst"), .keep = true});
    assert_int_equal(unpack_recording(folder_path("m2.mtap.zst"), fast, &result, &error), 0);
    assert_string_equal(result.path, folder_path("m2.mtap"));
    assert_false(exists(folder_path("m2.mtap.zst")));
    expect_same(path, result.path);
    free(result.path);

    assert_int_equal(unpack_recording(path, fast, &result, &error), -1);
    assert_non_null(strstr(error.text, "does not end in .zst; name what it unpacks to with -o"));
    struct pack_options elsewhere = {.out = folder_path("m3.mtap")};
    assert_int_equal(unpack_recording(path, elsewhere, &result, &error), -1);
    assert_non_null(strstr(error.text, "is not packed; every view reads it as it is"));
    pack(path, (struct pack_options){.level = 1, .keep = true});
    assert_int_equal(unpack_recording(folder_path("m.mtap.zst"), fast, &result, &error), -1);
    assert_non_null(strstr(error.text, "exists already; remove it, or name another with -o"));
    assert_true(exists(folder_path("m.mtap.zst")));
}

/* Holes, wherever they begin, take next to nothing; what is behind them is found. */
static void test_holes(void **state)
{
    enum { HOLE = 64 << 20, PIECE = 10000 };
    const char *path = record("d.mtap", MALLOCTAP_STATE_FINISHED, CALLS);
    struct bytes before = load(path);
    uint8_t piece[PIECE];
    memset(piece, 7, sizeof piece);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, piece, PIECE, (off_t)before.size + HOLE + 123), PIECE);
    close(fd);
    free(before.bytes);
    before = load(path);
    pack(path, fast);
    struct bytes packed = load(folder_path("d.mtap.zst"));
    assert_true(packed.size < before.size - HOLE + HOLE / 500);
    expect_calls(folder_path("d.mtap.zst"), CALLS);
    struct pack_result result;
    struct stat status;
    assert_int_equal(unpack_recording(folder_path("d.mtap.zst"), fast, &result, NULL), 0);
    struct bytes after = load(path);
    assert_int_equal(before.size, after.size);
    assert_int_equal(memcmp(before.bytes, after.bytes, before.size), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_blocks * 512 < HOLE);
    free(result.path);
    free(before.bytes);
    free(packed.bytes);
    free(after.bytes);
}

/* More frames than are kept in memory, visited from both ends in turn. */
static void test_more_than_is_cached(void **state)
{
    enum { MANY = 3000000, VISITS = 6 };
    pack(record("e.mtap", MALLOCTAP_STATE_FINISHED, MANY), fast);
    struct malloctap_recording *recording;
    assert_int_equal(malloctap_recording_open(folder_path("e.mtap.zst"), &recording, NULL), 0);
    for (uint64_t i = 0; i < VISITS; i++) {
        uint64_t from = 1000 + (i % 2 ? MANY - 1 - i : i);
        struct malloctap_merge *merge;
        struct malloctap_event event;
        assert_int_equal(malloctap_merge_open(recording, from, from, &merge, NULL), 0);
        assert_int_equal(malloctap_merge_next(merge, &event, NULL), 1);
        assert_int_equal(malloctap_record_ticks(event.record), from);
        assert_int_equal(malloctap_merge_next(merge, &event, NULL), 0);
        malloctap_merge_close(merge);
    }
    malloctap_recording_close(recording);
    expect_calls(folder_path("e.mtap.zst"), MANY);
}

/* ---- refusing -------------------------------------------------------------------------------- */

static void test_still_written(void **state)
{
    char text[100];
    const char *path = record("f.mtap", MALLOCTAP_STATE_RUNNING, 10);
    int fd = open(path, O_RDWR);
    void *image = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    snprintf(text, sizeof text, "process %d is still writing it; pack it when that has ended",
             (int)getpid());
    expect_refused(path, fast, text);
    assert_false(exists(folder_path("f.mtap.zst")));
    munmap(image, 4096);
    pack(path, fast); /* now it is what a killed process leaves behind */
    expect_calls(folder_path("f.mtap.zst"), 10);
}

static void test_what_cannot_be_packed(void **state)
{
    const char *path = record("g.mtap", MALLOCTAP_STATE_FINISHED, 10);
    expect_refused(path, (struct pack_options){.out = folder_path("no/where"), .level = 1},
                   "cannot be written (No such file or directory); name another place with -o");
    store(folder_path("g.mtap.zst"), "precious", 8);
    expect_refused(path, fast, "exists already; remove it, or name another with -o");
    struct bytes untouched = load(folder_path("g.mtap.zst"));
    assert_int_equal(untouched.size, 8);
    free(untouched.bytes);
    assert_int_equal(unlink(folder_path("g.mtap.zst")), 0);
    pack(path, fast);
    expect_refused(folder_path("g.mtap.zst"), fast,
                   "is packed already; every view reads it as it is");
    store(folder_path("text"), "no recording", 12);
    expect_refused(folder_path("text"), fast,
                   "not a malloctap recording (bad magic at offset 0); record one with 'malloctap "
                   "run'");
    assert_true(exists(folder_path("text")));
    path = record("j.mtap", MALLOCTAP_STATE_FINISHED, 10);
    assert_int_equal(symlink(path, folder_path("link")), 0);
    expect_refused(folder_path("link"), fast,
                   "is a symbolic link; name the recording itself, or keep it with --keep");
    pack(folder_path("link"), (struct pack_options){.level = 1, .keep = true});
    expect_calls(folder_path("link.zst"), 10);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void expect_unreadable(const char *path, const char *text)
{
    struct malloctap_error error;
    assert_true(count_calls(path, &error) < CALLS);
    const char *said = strstr(error.text, ": ");
    assert_non_null(said);
    assert_int_equal(strncmp(said + 2, text, strlen(text)), 0);
}

static void test_damaged(void **state)
{
    static const char not_ours[] =
        "compressed, but its end is missing, or not by 'malloctap pack'; copy it anew, or "
        "uncompress it with 'zstd -d'";
    const char *path = folder_path("h.mtap.zst");
    pack(record("h.mtap", MALLOCTAP_STATE_FINISHED, CALLS), fast);
    struct bytes packed = load(path);
    size_t table = packed.size - 9 - 8 * (size_t)packed.bytes[packed.size - 9];

    for (size_t cut = 1; cut < 30; cut++) {
        store(path, packed.bytes, packed.size - cut);
        expect_unreadable(path, not_ours);
    }
    /* a flipped bit, in the header's frame, in another, in the table */
    packed.bytes[100] ^= 1;
    store(path, packed.bytes, packed.size);
    expect_unreadable(path, "damaged (what was at offset 0 cannot be uncompressed)");
    packed.bytes[100] ^= 1;
    packed.bytes[table - 100] ^= 1;
    store(path, packed.bytes, packed.size);
    expect_unreadable(path, "damaged (what was at offset ");
    packed.bytes[table - 100] ^= 1;
    packed.bytes[table] ^= 1;
    store(path, packed.bytes, packed.size);
    expect_unreadable(path, "damaged table of frames (at offset ");
    packed.bytes[table] ^= 1;
    store(path, packed.bytes, packed.size);
    expect_calls(path, CALLS);
    free(packed.bytes);
}

/* A recording compressed by zstd itself has no table. */
static void test_compressed_otherwise(void **state)
{
    struct bytes plain = load(record("i.mtap", MALLOCTAP_STATE_FINISHED, 1000));
    size_t room = ZSTD_compressBound(plain.size);
    uint8_t *compressed = malloc(room);
    size_t size = ZSTD_compress(compressed, room, plain.bytes, plain.size, 1);
    store(folder_path("i.zst"), compressed, size);
    expect_unreadable(folder_path("i.zst"), "compressed, but its end is missing");
    free(compressed);
    free(plain.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaces_the_recording),
        cmocka_unit_test(test_keeps_the_recording),
        cmocka_unit_test(test_is_plain_zstd),
        cmocka_unit_test(test_log_is_in_columns),
        cmocka_unit_test(test_log_unpacked_by_zstd),
        cmocka_unit_test(test_unpacking),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_more_than_is_cached),
        cmocka_unit_test(test_still_written),
        cmocka_unit_test(test_what_cannot_be_packed),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_compressed_otherwise),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
