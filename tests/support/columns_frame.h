/* SPDX-License-Identifier: MIT */
/* columns_frame.h - a frame in columns taken apart, so that a test can damage what checksums cover.
 */
#ifndef SUPPORT_COLUMNS_FRAME_H
#define SUPPORT_COLUMNS_FRAME_H

#include <columns_stream.h>

struct columns_frame {
    uint32_t chunk_size;
    struct {
        uint8_t *bytes; /* with room for one more */
        size_t size;
    } columns[COLUMNS_COUNT];
};

/* Of what columns_pack() made. False: it is not one. */
bool columns_frame_split(const uint8_t *packed, size_t size, struct columns_frame *ret);
void columns_frame_deinit(struct columns_frame *frame);

/* Compress it again. free() the result. */
uint8_t *columns_frame_join(const struct columns_frame *frame, size_t *ret);

#endif
