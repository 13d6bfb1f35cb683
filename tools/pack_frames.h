/* SPDX-License-Identifier: MIT */
/* pack_frames.h - a recording cut into frames, each packed for itself, and the table of them. */
#ifndef TOOLS_PACK_FRAMES_H
#define TOOLS_PACK_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct malloctap_header;
struct pack_frames;

/* `header` is that of the recording of `size` bytes in file `in`. NULL: out of memory. */
struct pack_frames *pack_frames_create(int in, uint64_t size, const struct malloctap_header *header,
                                       int level);
void pack_frames_destroy(struct pack_frames *frames);

enum pack_frame {
    PACK_FRAME_DONE,       /* that was all, the table included */
    PACK_FRAME_READY,      /* the next bytes of the packed recording are in *ret */
    PACK_FRAME_UNREADABLE, /* errno; 0: the recording has become shorter */
    PACK_FRAME_FAILED,     /* no memory to compress with */
};

/* What comes next in the packed recording. Valid until the next call. */
enum pack_frame pack_frames_next(struct pack_frames *frames, const uint8_t **ret, size_t *size);

#endif
