/* SPDX-License-Identifier: MIT */
/* reader_recording.h - an open recording, as the reader's own files see it. */
#ifndef READER_RECORDING_H
#define READER_RECORDING_H

#include "reader_header.h"

struct reader_depot;

/* A pointer to it may be const for callers: what they can observe does not change by reading. The
 * file and the depot, which do change (a failure remembered, a stack kept), are apart for that. */
struct malloctap_recording {
    struct reader_file *file;
    struct reader_depot *depot;
    struct malloctap_header header; /* validated */
    struct reader_layout layout;    /* of that header */
    uint64_t last_ticks;            /* of an orphaned recording; 0: not looked for yet */
};

/* Size of an area as of the last open or refresh. */
uint64_t reader_area_size(const struct malloctap_recording *recording,
                          enum malloctap_extent_kind kind);

/* Read bytes of an area, across its extents. False where they are not all in the area, or when the
 * file cannot be read (which the file remembers). */
bool reader_area_read(const struct malloctap_recording *recording, enum malloctap_extent_kind kind,
                      uint64_t offset, void *buffer, size_t size);

/* ---- reader_depot.c ---- */

/* The stacks looked up so far, copied. NULL: out of memory. */
struct reader_depot *reader_depot_create(void);
void reader_depot_destroy(struct reader_depot *depot);

/* ---- reader_liveness.c ---- */

/* Does the process that the header names still have the file mapped? Where that cannot be seen, a
 * process of that number is taken for it. */
bool reader_writer_alive(const struct malloctap_recording *recording);

#endif
