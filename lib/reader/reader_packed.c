/* SPDX-License-Identifier: MIT */
#include "reader_packed.h"

#include "columns.h"
#include "reader_file.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* The seek table, as zstd's seekable format has it:
 *   magic, size of what follows | entries: compressed, decompressed size [, checksum] |
 *   number of entries, descriptor, magic */
#define TABLE_MAGIC 0x184d2a5eu
#define FOOTER_MAGIC 0x8f92eab1u
#define TABLE_HEADER_SIZE 8u
#define FOOTER_SIZE 9u
#define DESCRIPTOR_CHECKSUMS 0x80u
#define DESCRIPTOR_RESERVED 0x7cu

#define FRAME_SIZE_MAX (16u << 20) /* decompressed; one is held in memory at least */
#define CACHE_BYTES_MAX (16u << 20)

struct frame {
    uint64_t offset; /* in the file */
    uint64_t start;  /* in the recording */
    struct cached *cached;
};

/* A frame decompressed. */
struct cached {
    size_t frame;
    struct cached *newer, *older; /* by when they were used last */
    uint32_t heads_only; /* the size of its chunks, of which only the heads are there; 0: all is */
    alignas(struct malloctap_header) uint8_t bytes[];
};

struct reader_packed {
    int fd;
    struct frame *frames; /* and one more, which says where the last one ends */
    size_t frame_count;
    struct cached *newest, *oldest;
    size_t cached_bytes;
    uint8_t *compressed; /* room for the largest frame */
    ZSTD_DCtx *context;
    bool columns;                      /* there may be frames in columns: the header says so */
    struct columns_unpacker *unpacker; /* NULL: there was none yet */
};

bool reader_packed_is(const uint8_t *bytes, size_t size)
{
    uint32_t magic;
    if (size < sizeof(magic))
        return false;
    memcpy(&magic, bytes, sizeof(magic));
    return le32toh(magic) == ZSTD_MAGICNUMBER;
}

static bool read_file(int fd, uint64_t offset, void *buffer, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (uint8_t *)buffer + done, size - done, (off_t)(offset + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            errno = EBADMSG; /* it ended early */
            return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static uint32_t word(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

/* ---- the cache ----------------------------------------------------------------------------- */

static size_t frame_size(const struct reader_packed *packed, size_t frame)
{
    return (size_t)(packed->frames[frame + 1].start - packed->frames[frame].start);
}

/* What a frame takes in memory. */
static size_t cached_size(const struct reader_packed *packed, size_t frame)
{
    return sizeof(struct cached) + frame_size(packed, frame);
}

static void take_out(struct reader_packed *packed, struct cached *cached)
{
    *(cached->newer != NULL ? &cached->newer->older : &packed->newest) = cached->older;
    *(cached->older != NULL ? &cached->older->newer : &packed->oldest) = cached->newer;
}

static void put_first(struct reader_packed *packed, struct cached *cached)
{
    cached->newer = NULL;
    cached->older = packed->newest;
    *(cached->older != NULL ? &cached->older->newer : &packed->oldest) = cached;
    packed->newest = cached;
}

static void drop(struct reader_packed *packed, struct cached *cached)
{
    take_out(packed, cached);
    packed->frames[cached->frame].cached = NULL;
    packed->cached_bytes -= cached_size(packed, cached->frame);
    free(cached);
}

/* Room for a frame, in place of those that were not used for the longest time. NULL: no memory. */
static struct cached *add_cached(struct reader_packed *packed, size_t frame)
{
    size_t size = cached_size(packed, frame);
    while (packed->oldest != NULL && packed->cached_bytes + size > CACHE_BYTES_MAX)
        drop(packed, packed->oldest);
    struct cached *cached = malloc(size);
    if (cached == NULL)
        return NULL;
    cached->frame = frame;
    packed->frames[frame].cached = cached;
    packed->cached_bytes += size;
    put_first(packed, cached);
    return cached;
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Where the table is, from the last bytes of the file. */
static bool find_table(int fd, uint64_t file_size, uint64_t *offset, size_t *count,
                       size_t *entry_size)
{
    uint8_t footer[FOOTER_SIZE], header[TABLE_HEADER_SIZE];
    if (file_size < TABLE_HEADER_SIZE + FOOTER_SIZE ||
        !read_file(fd, file_size - FOOTER_SIZE, footer, FOOTER_SIZE) ||
        word(footer + 5) != FOOTER_MAGIC || (footer[4] & DESCRIPTOR_RESERVED) != 0)
        return false;
    *count = word(footer);
    *entry_size = footer[4] & DESCRIPTOR_CHECKSUMS ? 12 : 8;
    uint64_t size = *count * *entry_size + FOOTER_SIZE;
    if (size + TABLE_HEADER_SIZE > file_size)
        return false;
    *offset = file_size - size - TABLE_HEADER_SIZE;
    return read_file(fd, *offset, header, TABLE_HEADER_SIZE) && word(header) == TABLE_MAGIC &&
           word(header + 4) == size;
}

/* Turn sizes into offsets. False: they do not add up, or a frame is too large. */
static bool add_up(struct reader_packed *packed, const uint8_t *entries, size_t entry_size,
                   uint64_t end, uint32_t *largest)
{
    struct frame next = {0};
    for (size_t i = 0; i < packed->frame_count; i++) {
        uint32_t compressed = word(entries + i * entry_size);
        uint32_t size = word(entries + i * entry_size + 4);
        if (size > FRAME_SIZE_MAX || compressed > ZSTD_compressBound(FRAME_SIZE_MAX))
            return false;
        packed->frames[i] = next;
        next.offset += compressed;
        next.start += size;
        *largest = compressed > *largest ? compressed : *largest;
    }
    packed->frames[packed->frame_count] = next;
    return next.offset == end;
}

static bool load_table(struct reader_packed *packed, uint64_t offset, size_t entry_size)
{
    uint32_t largest = 1;
    uint8_t *entries = malloc(packed->frame_count * entry_size + 1);
    packed->frames = calloc(packed->frame_count + 1, sizeof(*packed->frames));
    errno = ENOMEM;
    bool loaded = entries != NULL && packed->frames != NULL &&
                  read_file(packed->fd, offset + TABLE_HEADER_SIZE, entries,
                            packed->frame_count * entry_size);
    if (loaded && !add_up(packed, entries, entry_size, offset, &largest)) {
        errno = EBADMSG;
        loaded = false;
    }
    free(entries);
    if (!loaded)
        return false;
    packed->compressed = malloc(largest);
    packed->context = ZSTD_createDCtx();
    errno = ENOMEM;
    return packed->compressed != NULL && packed->context != NULL;
}

int reader_packed_open(int fd, const char *path, struct reader_packed **ret,
                       struct malloctap_error *error)
{
    struct stat status;
    uint64_t offset;
    size_t count, entry_size;
    if (fstat(fd, &status) != 0 ||
        !find_table(fd, (uint64_t)status.st_size, &offset, &count, &entry_size)) {
        return reader_error_set(error, path,
                                "compressed, but its end is missing, or not by 'malloctap pack'; "
                                "copy it anew, or uncompress it with 'zstd -d'");
    }
    struct reader_packed *packed = calloc(1, sizeof(*packed));
    if (packed == NULL)
        return reader_error_set(error, path, "out of memory; close other programs");
    packed->fd = fd;
    packed->frame_count = count;
    if (!load_table(packed, offset, entry_size)) {
        reader_error_set(error, path,
                         errno == EBADMSG ? "damaged table of frames (at offset %" PRIu64
                                            "); copy it anew, or uncompress it with 'zstd -d'"
                                          : "out of memory for its table of frames (at offset "
                                            "%" PRIu64 "); close other programs",
                         offset);
        reader_packed_close(packed);
        return -1;
    }
    /* Whether there are frames in columns; that it cannot be read is said when it is asked for. */
    uint8_t first;
    reader_packed_read(packed, 0, &first, sizeof(first));
    *ret = packed;
    return 0;
}

void reader_packed_close(struct reader_packed *packed)
{
    if (packed == NULL)
        return;
    while (packed->oldest != NULL)
        drop(packed, packed->oldest);
    columns_unpacker_destroy(packed->unpacker);
    ZSTD_freeDCtx(packed->context);
    free(packed->compressed);
    free(packed->frames);
    free(packed);
}

uint64_t reader_packed_size(const struct reader_packed *packed)
{
    return packed->frames[packed->frame_count].start;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* The frame that holds this byte of the recording. */
static size_t find_frame(const struct reader_packed *packed, uint64_t offset)
{
    size_t low = 0, high = packed->frame_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (packed->frames[middle].start <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The bytes of the frame as they are in the file, in packed->compressed. */
static bool read_frame(struct reader_packed *packed, size_t frame, size_t *size)
{
    const struct frame *from = &packed->frames[frame];
    *size = (size_t)(from[1].offset - from[0].offset);
    return read_file(packed->fd, from->offset, packed->compressed, *size);
}

/* As malloctap_recording_open() is to see the header: as it was before it was packed. */
static void take_features(struct reader_packed *packed, uint8_t *bytes, size_t size)
{
    struct malloctap_header *header = (void *)bytes;
    if (size < offsetof(struct malloctap_header, state) || header->magic != MALLOCTAP_MAGIC)
        return;
    packed->columns = (header->features & MALLOCTAP_FEATURE_COLUMNS) != 0;
    header->features &= ~MALLOCTAP_FEATURE_COLUMNS;
}

static bool unpack(struct reader_packed *packed, size_t compressed, bool heads_only,
                   struct cached *to, size_t size)
{
    uint32_t chunk_size;
    if (packed->unpacker == NULL)
        packed->unpacker = columns_unpacker_create();
    int result = packed->unpacker == NULL
                     ? -1
                     : columns_unpack(packed->unpacker, packed->compressed, compressed, heads_only,
                                      to->bytes, size, &chunk_size);
    to->heads_only = result == 1 && heads_only ? chunk_size : 0;
    errno = result < 0 ? ENOMEM : EBADMSG;
    return result == 1;
}

/* Uncompress a frame, or of one in columns the heads of its chunks. */
static bool fill(struct reader_packed *packed, bool heads_only, struct cached *to)
{
    size_t size = frame_size(packed, to->frame), compressed;
    to->heads_only = 0;
    if (!read_frame(packed, to->frame, &compressed))
        return false;
    if (packed->columns && to->frame != 0 && columns_is(packed->compressed, compressed))
        return unpack(packed, compressed, heads_only, to, size);
    errno = EBADMSG;
    if (ZSTD_decompressDCtx(packed->context, to->bytes, size, packed->compressed, compressed) !=
        size)
        return false;
    if (to->frame == 0)
        take_features(packed, to->bytes, size);
    return true;
}

/* The frame, or the heads of its chunks, in the cache. NULL: that fails, with errno. */
static struct cached *load_frame(struct reader_packed *packed, size_t frame, bool heads_only)
{
    struct cached *cached = packed->frames[frame].cached;
    if (cached == NULL)
        cached = add_cached(packed, frame);
    if (cached == NULL || fill(packed, heads_only, cached))
        return cached;
    int error = errno;
    drop(packed, cached);
    errno = error;
    return NULL;
}

/* Are these bytes of the frame there? */
static bool holds(const struct cached *cached, uint64_t offset, size_t size)
{
    return cached->heads_only == 0 ||
           offset % cached->heads_only + size <= sizeof(struct malloctap_chunk);
}

ssize_t reader_packed_read(struct reader_packed *packed, uint64_t offset, void *buffer, size_t size)
{
    if (offset >= reader_packed_size(packed))
        return 0;
    size_t frame = find_frame(packed, offset);
    offset -= packed->frames[frame].start;
    if (size > frame_size(packed, frame) - offset)
        size = (size_t)(frame_size(packed, frame) - offset);
    struct cached *cached = packed->frames[frame].cached;
    if (cached == NULL) /* who looks for a chunk reads the head of each */
        cached = load_frame(packed, frame, size <= sizeof(struct malloctap_chunk));
    if (cached != NULL && !holds(cached, offset, size))
        cached = load_frame(packed, frame, false);
    if (cached == NULL)
        return -1;
    take_out(packed, cached);
    put_first(packed, cached);
    memcpy(buffer, cached->bytes + offset, size);
    return (ssize_t)size;
}
