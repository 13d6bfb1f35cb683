/* SPDX-License-Identifier: MIT */
/*
 * pack_frames.c - zstd's seekable format: frames that can be decompressed alone, and behind them a
 * table of their sizes in a frame that every zstd decoder skips. `zstd -d` unpacks it too, unless
 * there is a log: its chunks are put in columns first, and the header says so.
 */
#include "pack_frames.h"

#include <malloctap/recording.h>

#include <columns.h>
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

/* A few chunks, which are mostly read together. */
#define FRAME_SIZE (256u << 10)

/* Of chunks, which are understood from those before them. Measured on logs of git and gcc: a
 * quarter of it makes them a tenth larger, four times as much a thirtieth smaller. */
#define CHUNKS_SIZE (1u << 20)

#define TABLE_MAGIC 0x184d2a5eu
#define FOOTER_MAGIC 0x8f92eab1u

struct pack_frames {
    int in;
    uint64_t size;
    const struct malloctap_header *header;
    bool log;        /* there is one: its frames are in columns */
    uint64_t offset; /* of the next frame */
    uint64_t hole_end;
    ZSTD_CCtx *context;
    struct columns_packer *columns;
    FILE *table; /* its entries so far */
    char *entries;
    size_t entries_size;
    size_t count;
    bool done;
    uint8_t frame[CHUNKS_SIZE + COLUMNS_PACK_SLACK];
    uint8_t compressed[ZSTD_COMPRESSBOUND(CHUNKS_SIZE)];
};

/* Read all of `size` bytes. */
static bool read_full(int fd, uint64_t offset, void *buffer, size_t size)
{
    errno = 0;
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (uint8_t *)buffer + done, size - done, (off_t)(offset + done));
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void put_word(FILE *out, size_t value)
{
    uint32_t word = htole32((uint32_t)value);
    fwrite(&word, sizeof word, 1, out);
}

/* ---- where to cut ---------------------------------------------------------------------------- */

/* The chunks that begin or go on at this offset; NULL: none do, and *next is where the next begin.
 */
static const struct malloctap_extent *chunks_at(const struct pack_frames *frames, uint64_t offset,
                                                uint64_t *next)
{
    *next = frames->size;
    for (uint32_t i = 0; i < frames->header->extent_count; i++) {
        const struct malloctap_extent *extent = &frames->header->extents[i];
        if (extent->kind != MALLOCTAP_EXTENT_CHUNKS)
            continue;
        if (offset >= extent->offset && offset - extent->offset < extent->size)
            return extent;
        if (extent->offset > offset && extent->offset < *next)
            *next = extent->offset;
    }
    return NULL;
}

/* How large the next frame is, and whether it is made of chunks, which may be those of a log. */
static bool cut(const struct pack_frames *frames, size_t *size)
{
    uint64_t next, left, most = FRAME_SIZE;
    uint32_t chunk_size = frames->header->chunk_size;
    const struct malloctap_extent *extent = chunks_at(frames, frames->offset, &next);
    bool chunks = frames->log && extent;
    left = extent ? extent->offset + extent->size - frames->offset : next - frames->offset;
    if (chunks)
        most = CHUNKS_SIZE / chunk_size * chunk_size;
    *size = (size_t)(left < most ? left : most);
    return chunks;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* From `offset`: how many bytes are a hole, which reads as zeros. */
static uint64_t hole_size(const struct pack_frames *frames)
{
    off_t data = lseek(frames->in, (off_t)frames->offset, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? frames->size - frames->offset : 0;
    return (uint64_t)data - frames->offset;
}

/* In the header that a recording begins with; it may lie anywhere in memory. */
static void mark_columns(uint8_t *header)
{
    uint8_t *at = header + offsetof(struct malloctap_header, features);
    uint64_t features;
    memcpy(&features, at, sizeof features);
    features |= MALLOCTAP_FEATURE_COLUMNS;
    memcpy(at, &features, sizeof features);
}

static bool read_frame(struct pack_frames *frames, size_t size)
{
    if (frames->offset >= frames->hole_end)
        frames->hole_end = frames->offset + hole_size(frames);
    if (frames->offset + size <= frames->hole_end)
        memset(frames->frame, 0, size);
    else if (!read_full(frames->in, frames->offset, frames->frame, size))
        return false;
    if (frames->offset == 0 && frames->log && size >= offsetof(struct malloctap_header, state))
        mark_columns(frames->frame);
    return true;
}

static enum pack_frame next_frame(struct pack_frames *frames, const uint8_t **ret, size_t *ret_size)
{
    size_t size;
    bool chunks = cut(frames, &size);
    if (!read_frame(frames, size))
        return PACK_FRAME_UNREADABLE;
    *ret_size = 0;
    if (chunks)
        *ret_size =
            columns_pack(frames->columns, frames->frame, size, frames->header->chunk_size, ret);
    if (*ret_size == 0) {
        *ret = frames->compressed;
        *ret_size = ZSTD_compress2(frames->context, frames->compressed, sizeof frames->compressed,
                                   frames->frame, size);
        if (ZSTD_isError(*ret_size))
            return PACK_FRAME_FAILED;
    }
    put_word(frames->table, *ret_size);
    put_word(frames->table, size);
    frames->offset += size;
    frames->count++;
    return PACK_FRAME_READY;
}

/* The table as it stands in the file: its size is known when all of it is. */
static enum pack_frame finish(struct pack_frames *frames, const uint8_t **ret, size_t *size)
{
    put_word(frames->table, frames->count);
    fputc(0, frames->table); /* entries without checksums: each frame has its own */
    put_word(frames->table, FOOTER_MAGIC);
    if (fflush(frames->table) != 0)
        return PACK_FRAME_FAILED;
    uint32_t words[2] = {htole32(TABLE_MAGIC)};
    words[1] = htole32((uint32_t)(frames->entries_size - sizeof words));
    memcpy(frames->entries, words, sizeof words);
    frames->done = true;
    *ret = (const uint8_t *)frames->entries;
    *size = frames->entries_size;
    return PACK_FRAME_READY;
}

enum pack_frame pack_frames_next(struct pack_frames *frames, const uint8_t **ret, size_t *size)
{
    if (frames->done)
        return PACK_FRAME_DONE;
    return frames->offset < frames->size ? next_frame(frames, ret, size)
                                         : finish(frames, ret, size);
}

/* ---- begin and end --------------------------------------------------------------------------- */

/* Is there a chunk of a log that can be put in columns? What cannot be read is noticed later. */
static bool has_log(const struct pack_frames *frames)
{
    uint32_t chunk_size = frames->header->chunk_size;
    for (uint32_t i = 0; i < frames->header->extent_count && chunk_size <= CHUNKS_SIZE; i++) {
        const struct malloctap_extent *extent = &frames->header->extents[i];
        for (uint64_t at = 0; extent->kind == MALLOCTAP_EXTENT_CHUNKS && at < extent->size;
             at += chunk_size) {
            struct malloctap_chunk head;
            if (!read_full(frames->in, extent->offset + at, &head, sizeof head))
                return false;
            if (head.sequence != 0 && head.content == MALLOCTAP_CHUNK_LOG)
                return true;
        }
    }
    return false;
}

struct pack_frames *pack_frames_create(int in, uint64_t size, const struct malloctap_header *header,
                                       int level)
{
    struct pack_frames *frames = calloc(1, sizeof *frames);
    if (!frames)
        return NULL;
    frames->in = in;
    frames->size = size;
    frames->header = header;
    frames->log = has_log(frames);
    frames->context = ZSTD_createCCtx();
    frames->columns = columns_packer_create(level);
    frames->table = open_memstream(&frames->entries, &frames->entries_size);
    if (!frames->context || !frames->columns || !frames->table) {
        pack_frames_destroy(frames);
        return NULL;
    }
    ZSTD_CCtx_setParameter(frames->context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(frames->context, ZSTD_c_checksumFlag, 1);
    put_word(frames->table, 0); /* for what finish() knows */
    put_word(frames->table, 0);
    return frames;
}

void pack_frames_destroy(struct pack_frames *frames)
{
    if (!frames)
        return;
    if (frames->table)
        fclose(frames->table);
    columns_packer_destroy(frames->columns);
    ZSTD_freeCCtx(frames->context);
    free(frames->entries);
    free(frames);
}
