/* SPDX-License-Identifier: MIT */
/* reader_header.h - is this a recording we can read, and where in the file are its parts? */
#ifndef READER_HEADER_H
#define READER_HEADER_H

#include "reader_file.h"

#define READER_KINDS (MALLOCTAP_EXTENT_LOCKS + 1)

/* One extent, and where in its area it lies. */
struct reader_extent {
    uint64_t area_offset;
    uint64_t file_offset;
    uint64_t size;
};

/* The extents of one kind, which together are one array. */
struct reader_area {
    struct reader_extent *extents; /* `count` of them in ascending area_offset, without gaps */
    size_t count;
    uint64_t size; /* of all extents */
};

/* All areas; their extents point into `extents`. */
struct reader_layout {
    struct reader_area areas[READER_KINDS];
    struct reader_extent extents[MALLOCTAP_EXTENTS_MAX];
};

/*
 * Read and validate the header. Afterwards its strings end in NUL, the clock and chunk size can be
 * used, and the first `extent_count` extents are those of known kinds, in directory order.
 */
int reader_header_read(struct reader_file *file, struct malloctap_header *ret,
                       struct malloctap_error *error);

/* Derive the areas from a validated header. */
void reader_layout_init(struct reader_layout *layout, const struct malloctap_header *header);

#endif
