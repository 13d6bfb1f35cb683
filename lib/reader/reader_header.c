/* SPDX-License-Identifier: MIT */
#include "reader_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define HEADER_SIZE_MAX (16u << 20)
#define CHUNK_SIZE_MAX (64u << 20)

/* The fields that decide whether the rest may be looked at; they never move. */
#define PREFIX_SIZE offsetof(struct malloctap_header, state)

/* What the first release of version 1 wrote. Fields added since read as zero in older files. */
#define HEADER_USED_MIN                                                                            \
    (offsetof(struct malloctap_header, extents) +                                                  \
     MALLOCTAP_EXTENTS_MAX * sizeof(struct malloctap_extent))

static int bad_field(struct reader_file *file, struct malloctap_error *error, const char *field,
                     uint64_t value, size_t offset)
{
    return reader_error_set(error, file->path,
                            "damaged header (%s is %" PRIu64 " at offset %zu); make the recording "
                            "again, or take it from a backup",
                            field, value, offset);
}
#define BAD_FIELD(file, error, header, field)                                                      \
    bad_field(file, error, #field, (header)->field, offsetof(struct malloctap_header, field))

static int read_failed(const struct reader_file *file, struct malloctap_error *error)
{
    if (error != NULL)
        *error = file->failure;
    return -1;
}

/* ---- the prefix ---------------------------------------------------------------------------- */

static int check_magic(struct reader_file *file, uint64_t magic, uint64_t size,
                       struct malloctap_error *error)
{
    if (magic == MALLOCTAP_MAGIC)
        return 0;
    if (size == 0) {
        return reader_error_set(error, file->path,
                                "not a malloctap recording (it is empty); record one with "
                                "'malloctap run'");
    }
    if (magic == __builtin_bswap64(MALLOCTAP_MAGIC)) {
        return reader_error_set(error, file->path,
                                "recorded on a machine of foreign byte order (magic at offset 0); "
                                "read it on a machine of that kind");
    }
    if (magic == 0 && size >= PREFIX_SIZE) {
        return reader_error_set(error, file->path,
                                "not a malloctap recording yet (no magic at offset 0); wait until "
                                "the program has started, or record again");
    }
    return reader_error_set(error, file->path,
                            "not a malloctap recording (bad magic at offset 0); record one with "
                            "'malloctap run'");
}

static int truncated(struct reader_file *file, uint64_t size, uint32_t needed,
                     struct malloctap_error *error)
{
    return reader_error_set(error, file->path,
                            "truncated at %" PRIu64 " bytes, the header needs %u; copy the whole "
                            "recording again",
                            size, needed);
}

static int check_prefix(struct reader_file *file, const struct malloctap_header *header,
                        uint64_t size, struct malloctap_error *error)
{
    if (size < PREFIX_SIZE)
        return truncated(file, size, MALLOCTAP_HEADER_SIZE, error);
    if (header->byte_order != MALLOCTAP_BYTE_ORDER)
        return BAD_FIELD(file, error, header, byte_order);
    if (header->version == 0)
        return BAD_FIELD(file, error, header, version);
    if (header->version > MALLOCTAP_VERSION) {
        return reader_error_set(error, file->path,
                                "written by a newer malloctap (format version %u, this one reads "
                                "up to %u); update malloctap",
                                header->version, MALLOCTAP_VERSION);
    }
    if ((header->features & MALLOCTAP_FEATURE_COLUMNS) != 0) { /* reader_packed.c takes it away */
        return reader_error_set(error, file->path,
                                "unpacked by zstd, which leaves its log in columns (bit 0x1 at "
                                "offset %zu); unpack it anew with 'malloctap pack -d'",
                                offsetof(struct malloctap_header, features));
    }
    if ((header->features & ~MALLOCTAP_FEATURES_KNOWN) != 0) {
        return reader_error_set(error, file->path,
                                "uses features this malloctap does not know (bits %#" PRIx64
                                " at offset %zu); update malloctap",
                                (uint64_t)(header->features & ~MALLOCTAP_FEATURES_KNOWN),
                                offsetof(struct malloctap_header, features));
    }
    if (header->header_used < HEADER_USED_MIN || header->header_used > header->header_size)
        return BAD_FIELD(file, error, header, header_used);
    if (header->header_size % PAGE != 0 || header->header_size > HEADER_SIZE_MAX)
        return BAD_FIELD(file, error, header, header_size);
    return size < header->header_size ? truncated(file, size, header->header_size, error) : 0;
}

/* ---- the fields ---------------------------------------------------------------------------- */

/*
 * Two looks, in order: what says that something is there (the state, the kinds of the extents) is
 * taken from the first, what it speaks for from the second. The writer stores them the other way
 * round.
 */
static bool read_fields(struct reader_file *file, uint32_t header_used,
                        struct malloctap_header *ret)
{
    struct malloctap_header first = {0};
    size_t size = header_used < sizeof(*ret) ? header_used : sizeof(*ret);
    memset(ret, 0, sizeof(*ret));
    if (!reader_file_read(file, 0, &first, size))
        return false;
    reader_file_order();
    if (!reader_file_read(file, 0, ret, size))
        return false;
    ret->state = first.state;
    ret->extent_count = first.extent_count;
    for (size_t i = 0; i < MALLOCTAP_EXTENTS_MAX; i++)
        ret->extents[i].kind = first.extents[i].kind;
    return true;
}

static int check_fields(struct reader_file *file, const struct malloctap_header *header,
                        struct malloctap_error *error)
{
    if (header->state != MALLOCTAP_STATE_RUNNING && header->state != MALLOCTAP_STATE_FINISHED)
        return BAD_FIELD(file, error, header, state);
    if (header->mode < MALLOCTAP_MODE_COUNT || header->mode > MALLOCTAP_MODE_LOG)
        return BAD_FIELD(file, error, header, mode);
    if (header->pointer_bits != 64)
        return BAD_FIELD(file, error, header, pointer_bits);
    if (header->chunk_size == 0 || header->chunk_size % PAGE != 0 ||
        header->chunk_size > CHUNK_SIZE_MAX)
        return BAD_FIELD(file, error, header, chunk_size);
    if (header->clock_mult == 0)
        return BAD_FIELD(file, error, header, clock_mult);
    if (header->clock_shift > 63)
        return BAD_FIELD(file, error, header, clock_shift);
    if (header->extent_count > MALLOCTAP_EXTENTS_MAX)
        return BAD_FIELD(file, error, header, extent_count);
    return 0;
}

static void terminate_strings(struct malloctap_header *header)
{
    header->executable[sizeof(header->executable) - 1] = '\0';
    header->command_line[sizeof(header->command_line) - 1] = '\0';
    header->backend[sizeof(header->backend) - 1] = '\0';
    header->backend_object[sizeof(header->backend_object) - 1] = '\0';
    header->options[sizeof(header->options) - 1] = '\0';
}

/* ---- extents ------------------------------------------------------------------------------- */

static const char *const kind_names[READER_KINDS] = {
    [MALLOCTAP_EXTENT_THREADS] = "THREADS", [MALLOCTAP_EXTENT_DEPOT] = "DEPOT",
    [MALLOCTAP_EXTENT_MODULES] = "MODULES", [MALLOCTAP_EXTENT_CHUNKS] = "CHUNKS",
    [MALLOCTAP_EXTENT_LATENCY] = "LATENCY", [MALLOCTAP_EXTENT_LOCKS] = "LOCKS",
};

static int bad_extent(struct reader_file *file, const struct malloctap_extent *extent,
                      const char *what, struct malloctap_error *error)
{
    return reader_error_set(error, file->path,
                            "damaged header (%s extent of %" PRIu64 " bytes at offset %" PRIu64
                            " %s); make the recording again, or take it from a backup",
                            kind_names[extent->kind], extent->size, extent->offset, what);
}

static int check_extent(struct reader_file *file, const struct malloctap_header *header,
                        const struct malloctap_extent *extent, uint64_t file_size,
                        struct malloctap_error *error)
{
    uint64_t unit = extent->kind == MALLOCTAP_EXTENT_CHUNKS ? header->chunk_size : PAGE;
    if (extent->offset % PAGE != 0)
        return bad_extent(file, extent, "is not aligned to 4096", error);
    if (extent->offset < header->header_size)
        return bad_extent(file, extent, "overlaps the header", error);
    if (extent->size == 0 || extent->size % unit != 0)
        return bad_extent(file, extent, "does not hold whole entries", error);
    if (extent->size > INT64_MAX || extent->offset > INT64_MAX - extent->size)
        return bad_extent(file, extent, "ends beyond any file", error);
    if (extent->offset + extent->size > file_size) {
        return reader_error_set(error, file->path,
                                "truncated at %" PRIu64 " bytes, its %s extent ends at %" PRIu64
                                "; copy the whole recording again",
                                file_size, kind_names[extent->kind], extent->offset + extent->size);
    }
    return 0;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct malloctap_extent *left = a, *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static int check_overlap(struct reader_file *file, const struct malloctap_header *header,
                         struct malloctap_error *error)
{
    struct malloctap_extent sorted[MALLOCTAP_EXTENTS_MAX];
    memcpy(sorted, header->extents, header->extent_count * sizeof(*sorted));
    qsort(sorted, header->extent_count, sizeof(*sorted), compare_offsets);
    for (size_t i = 1; i < header->extent_count; i++) {
        if (sorted[i].offset < sorted[i - 1].offset + sorted[i - 1].size)
            return bad_extent(file, &sorted[i], "overlaps another", error);
    }
    return 0;
}

/* Drop the entries that are not there yet and those of unknown kinds, check the others. */
static int check_extents(struct reader_file *file, struct malloctap_header *header,
                         struct malloctap_error *error)
{
    uint64_t file_size; /* asked for after the directory was read: the file grows before it does */
    if (!reader_file_size(file, &file_size))
        return read_failed(file, error);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < header->extent_count; i++) {
        struct malloctap_extent extent = header->extents[i];
        if (extent.kind == 0 || extent.kind >= READER_KINDS)
            continue;
        if (check_extent(file, header, &extent, file_size, error) != 0)
            return -1;
        header->extents[kept++] = extent;
    }
    memset(&header->extents[kept], 0, (MALLOCTAP_EXTENTS_MAX - kept) * sizeof(header->extents[0]));
    header->extent_count = kept;
    return check_overlap(file, header, error);
}

/* ---- the whole ----------------------------------------------------------------------------- */

int reader_header_read(struct reader_file *file, struct malloctap_header *ret,
                       struct malloctap_error *error)
{
    struct malloctap_header prefix = {0};
    uint64_t size;
    if (!reader_file_size(file, &size))
        return read_failed(file, error);
    uint64_t magic = 0;
    if (!reader_file_read(file, 0, &magic, size < sizeof(magic) ? size : sizeof(magic)))
        return read_failed(file, error);
    if (check_magic(file, magic, size, error) != 0)
        return -1;
    reader_file_order(); /* the writer stores the magic last of the fields that never change */
    if (!reader_file_read(file, 0, &prefix, size < PREFIX_SIZE ? size : PREFIX_SIZE))
        return read_failed(file, error);
    if (check_prefix(file, &prefix, size, error) != 0)
        return -1;
    if (!read_fields(file, prefix.header_used, ret))
        return read_failed(file, error);
    terminate_strings(ret);
    if (check_fields(file, ret, error) != 0)
        return -1;
    return check_extents(file, ret, error);
}

void reader_layout_init(struct reader_layout *layout, const struct malloctap_header *header)
{
    struct reader_extent *next = layout->extents;
    for (uint32_t kind = 0; kind < READER_KINDS; kind++) {
        struct reader_area *area = &layout->areas[kind];
        *area = (struct reader_area){.extents = next};
        for (uint32_t i = 0; i < header->extent_count; i++) {
            const struct malloctap_extent *extent = &header->extents[i];
            if (extent->kind != kind)
                continue;
            *next++ = (struct reader_extent){
                .area_offset = area->size, .file_offset = extent->offset, .size = extent->size};
            area->size += extent->size;
            area->count++;
        }
    }
}
