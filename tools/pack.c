/* SPDX-License-Identifier: MIT */
/*
 * pack.c - zstd's seekable format: frames that can be decompressed alone, and behind them a table
 * of their sizes in a frame that every zstd decoder skips. So `zstd -d` unpacks it too.
 */
#include "pack.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* A few chunks of a log, which are mostly read together. Measured on logs: a quarter of it makes
 * them a twentieth larger, four times as much saves nothing. */
#define FRAME_SIZE (256u << 10)

#define TABLE_MAGIC 0x184d2a5eu
#define TABLE_HEADER_SIZE 8u
#define ENTRY_SIZE 8u
#define FOOTER_SIZE 9u
#define FOOTER_MAGIC 0x8f92eab1u

struct packer {
    const char *path; /* of the recording */
    const char *out;
    char *temporary;
    int in, to;
    uint64_t size; /* of the recording */
    ZSTD_CCtx *context;
    FILE *table; /* its entries so far */
    char *entries;
    size_t entries_size;
    uint8_t frame[FRAME_SIZE];
    uint8_t compressed[ZSTD_COMPRESSBOUND(FRAME_SIZE)];
    struct malloctap_error *error;
};

__attribute__((format(printf, 3, 4))) static int fail(struct malloctap_error *error,
                                                      const char *path, const char *format, ...)
{
    va_list args;
    int length = snprintf(error->text, sizeof error->text, "%.200s: ", path);
    va_start(args, format);
    vsnprintf(error->text + length, sizeof error->text - (size_t)length, format, args);
    va_end(args);
    return -1;
}

static int cannot_write(struct packer *packer)
{
    return fail(packer->error, packer->out, "cannot be written (%s); name another place with -o",
                strerror(errno));
}

static int cannot_read(struct packer *packer)
{
    return fail(packer->error, packer->path, "cannot be read (%s); check the disk",
                errno ? strerror(errno) : "it became shorter");
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Read up to `size` bytes, fewer only at the end of the file. -1: errno. */
static ssize_t read_full(int fd, uint64_t offset, uint8_t *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static int write_full(struct packer *packer, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t written = write(packer->to, (const uint8_t *)bytes + done, size - done);
        if (written < 0 && errno != EINTR)
            return cannot_write(packer);
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static void put_word(FILE *out, uint32_t value)
{
    value = htole32(value);
    fwrite(&value, sizeof value, 1, out);
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Of the recording's bytes from `offset`: how many are a hole, which reads as zeros. */
static uint64_t hole_size(const struct packer *packer, uint64_t offset)
{
    off_t data = lseek(packer->in, (off_t)offset, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? packer->size - offset : 0;
    return (uint64_t)data - offset;
}

/* Write one frame of what is in packer->frame. */
static int pack_frame(struct packer *packer, size_t size)
{
    size_t compressed = ZSTD_compress2(packer->context, packer->compressed,
                                       sizeof packer->compressed, packer->frame, size);
    if (ZSTD_isError(compressed))
        return fail(packer->error, packer->path, "cannot be compressed (%s); close other programs",
                    ZSTD_getErrorName(compressed));
    put_word(packer->table, (uint32_t)compressed);
    put_word(packer->table, (uint32_t)size);
    return write_full(packer, packer->compressed, compressed);
}

static int pack_frames(struct packer *packer)
{
    uint64_t hole_end = 0;
    for (uint64_t offset = 0; offset < packer->size; offset += FRAME_SIZE) {
        size_t size =
            packer->size - offset < FRAME_SIZE ? (size_t)(packer->size - offset) : FRAME_SIZE;
        if (offset >= hole_end)
            hole_end = offset + hole_size(packer, offset);
        if (offset + size <= hole_end) {
            memset(packer->frame, 0, size);
        } else {
            errno = 0;
            if (read_full(packer->in, offset, packer->frame, size) != (ssize_t)size)
                return cannot_read(packer);
        }
        if (pack_frame(packer, size) < 0)
            return -1;
    }
    return 0;
}

static int write_table(struct packer *packer)
{
    size_t count = (packer->size + FRAME_SIZE - 1) / FRAME_SIZE;
    put_word(packer->table, (uint32_t)count);
    fputc(0, packer->table); /* entries without checksums: each frame has its own */
    put_word(packer->table, FOOTER_MAGIC);
    if (fflush(packer->table) != 0)
        return cannot_write(packer);
    uint32_t header[] = {htole32(TABLE_MAGIC), htole32((uint32_t)packer->entries_size)};
    if (write_full(packer, header, sizeof header) < 0 ||
        write_full(packer, packer->entries, packer->entries_size) < 0)
        return -1;
    return 0;
}

/* ---- looking at what was written ------------------------------------------------------------- */

static int differs(struct packer *packer)
{
    return fail(packer->error, packer->out,
                "does not hold what was packed when read back; the recording is kept; check the "
                "disk");
}

/* Decompress as `zstd -d` does, and compare with the recording. */
static int compare(struct packer *packer)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    uint64_t read_to = 0, offset = 0;
    int result = context ? 0 : fail(packer->error, packer->path, "out of memory");
    for (ssize_t got; result == 0; read_to += (uint64_t)got) {
        got = read_full(packer->to, read_to, packer->compressed, sizeof packer->compressed);
        if (got <= 0)
            break;
        ZSTD_inBuffer from = {packer->compressed, (size_t)got, 0};
        while (result == 0 && from.pos < from.size) {
            uint8_t written[FRAME_SIZE];
            ZSTD_outBuffer to = {written, sizeof written, 0};
            if (ZSTD_isError(ZSTD_decompressStream(context, &to, &from)) ||
                read_full(packer->in, offset, packer->frame, to.pos) != (ssize_t)to.pos ||
                memcmp(written, packer->frame, to.pos) != 0)
                result = differs(packer);
            offset += to.pos;
        }
    }
    ZSTD_freeDCtx(context);
    return result == 0 && offset != packer->size ? differs(packer) : result;
}

/* The views can open it. */
static int reopen(struct packer *packer)
{
    struct malloctap_recording *recording;
    if (malloctap_recording_open(packer->temporary, &recording, packer->error) < 0)
        return -1;
    malloctap_recording_close(recording);
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Only what nobody writes any more. */
static int check_finished(const char *path, struct malloctap_error *error)
{
    struct malloctap_recording *recording;
    if (malloctap_recording_open(path, &recording, error) < 0)
        return -1;
    const struct malloctap_header *header = malloctap_recording_header(recording);
    bool writing =
        header->state != MALLOCTAP_STATE_FINISHED && !malloctap_recording_orphaned(recording);
    uint32_t pid = header->pid;
    malloctap_recording_close(recording);
    return writing ? fail(error, path,
                          "process %u is still writing it; pack it when that has ended", pid)
                   : 0;
}

static int open_input(struct packer *packer, bool keep, struct stat *status)
{
    uint8_t first[4] = {0};
    if (!keep && lstat(packer->path, status) == 0 && S_ISLNK(status->st_mode))
        return fail(packer->error, packer->path,
                    "is a symbolic link; name the recording itself, or keep it with --keep");
    packer->in = open(packer->path, O_RDONLY | O_CLOEXEC);
    if (packer->in < 0 || fstat(packer->in, status) != 0 ||
        read_full(packer->in, 0, first, sizeof first) < 0)
        return cannot_read(packer);
    uint32_t magic;
    memcpy(&magic, first, sizeof magic);
    if (le32toh(magic) == ZSTD_MAGICNUMBER)
        return fail(packer->error, packer->path, "is packed already; every view reads it as it is");
    packer->size = (uint64_t)status->st_size;
    return 0;
}

static int open_output(struct packer *packer)
{
    if (access(packer->out, F_OK) == 0)
        return fail(packer->error, packer->out,
                    "exists already; remove it, or name another with -o");
    if (asprintf(&packer->temporary, "%s.XXXXXX", packer->out) < 0)
        return fail(packer->error, packer->out, "out of memory");
    packer->to = mkostemp(packer->temporary, O_CLOEXEC);
    return packer->to < 0 ? cannot_write(packer) : 0;
}

/* Owner, mode and times of the recording, as gzip and xz do. Where the owner cannot be set, nobody
 * else gets in. */
static int inherit(struct packer *packer, const struct stat *input)
{
    const struct timespec times[] = {input->st_atim, input->st_mtim};
    bool owned = fchown(packer->to, input->st_uid, input->st_gid) == 0;
    if (fchmod(packer->to, input->st_mode & (owned ? 0777 : 0700)) != 0 ||
        futimens(packer->to, times) != 0)
        return cannot_write(packer);
    return 0;
}

/* Also the name must survive a crash before the original may go. */
static int sync_directory(struct packer *packer)
{
    char *copy = strdup(packer->out);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd >= 0 && fsync(fd) == 0 ? 0 : cannot_write(packer);
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

static int name_output(struct packer *packer)
{
    if (renameat2(AT_FDCWD, packer->temporary, AT_FDCWD, packer->out, RENAME_NOREPLACE) != 0 &&
        (errno != EINVAL || rename(packer->temporary, packer->out) != 0)) /* a simple file system */
        return cannot_write(packer);
    free(packer->temporary);
    packer->temporary = NULL;
    return sync_directory(packer);
}

static int pack(struct packer *packer, const struct stat *input, int level)
{
    packer->context = ZSTD_createCCtx();
    packer->table = open_memstream(&packer->entries, &packer->entries_size);
    if (!packer->context || !packer->table)
        return fail(packer->error, packer->path, "out of memory; close other programs");
    ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(packer->context, ZSTD_c_checksumFlag, 1);
    if (pack_frames(packer) < 0 || write_table(packer) < 0 || inherit(packer, input) < 0)
        return -1;
    if (fsync(packer->to) != 0)
        return cannot_write(packer);
    return compare(packer) < 0 || reopen(packer) < 0 ? -1 : name_output(packer);
}

static void packer_destroy(struct packer *packer)
{
    if (packer->temporary && packer->to >= 0)
        unlink(packer->temporary);
    if (packer->in >= 0)
        close(packer->in);
    if (packer->to >= 0)
        close(packer->to);
    if (packer->table)
        fclose(packer->table);
    ZSTD_freeCCtx(packer->context);
    free(packer->entries);
    free(packer->temporary);
    free(packer);
}

int pack_recording(const char *path, struct pack_options options, struct pack_result *ret,
                   struct malloctap_error *error)
{
    struct packer *packer = calloc(1, sizeof *packer);
    struct stat input, output;
    char *out = options.out ? strdup(options.out) : NULL;
    if (!packer || (options.out ? !out : asprintf(&out, "%s" PACK_SUFFIX, path) < 0)) {
        free(packer);
        return fail(error, path, "out of memory; close other programs");
    }
    packer->path = path;
    packer->out = out;
    packer->in = packer->to = -1;
    packer->error = error;
    int result = check_finished(path, error);
    if (result == 0 && (open_input(packer, options.keep, &input) < 0 || open_output(packer) < 0 ||
                        pack(packer, &input, options.level) < 0))
        result = -1;
    if (result == 0 && fstat(packer->to, &output) != 0)
        result = cannot_write(packer);
    if (result == 0 && !options.keep && unlink(path) != 0)
        result = fail(error, path, "was packed, but cannot be removed (%s)", strerror(errno));
    packer_destroy(packer);
    if (result < 0) {
        free(out);
        return -1;
    }
    *ret = (struct pack_result){
        .path = out, .before = (uint64_t)input.st_blocks * 512, .after = (uint64_t)output.st_size};
    return 0;
}
