/* SPDX-License-Identifier: MIT */
/*
 * columns.h - chunks of a log in fewer bytes: what `malloctap pack` makes of them, and back.
 *
 * What follows what in a log is mostly known: the next call comes from where it came from the last
 * time, asks for as much as it did then, gets the block of that size that was freed last. A model
 * of that looks at the events so far, and what it does not know of an event goes into columns, one
 * for each kind of value, so that zstd, which compresses them one by one, has like beside like.
 * docs/FORMAT.md says how, to the bit.
 *
 * Packing and unpacking feed the same model with the same events: whatever changes in
 * columns_model.c or in the order of the columns makes another format.
 */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a recording in one frame. */
#define COLUMNS_FRAME_MAX (4u << 20)

/* Does a frame with these first bytes claim to be in columns? */
bool columns_is(const uint8_t *bytes, size_t size);

struct columns_packer;

/* `level` is zstd's. NULL: out of memory. */
struct columns_packer *columns_packer_create(int level);
void columns_packer_destroy(struct columns_packer *packer);

/* Bytes that must be readable behind what is packed. */
#define COLUMNS_PACK_SLACK 64u

/* Pack whole chunks, up to COLUMNS_FRAME_MAX bytes. Returns the size of *ret, which is valid until
 * the next call, or 0 where there is nothing to be put in columns, or no memory. */
size_t columns_pack(struct columns_packer *packer, const uint8_t *chunks, size_t size,
                    uint32_t chunk_size, const uint8_t **ret);

struct columns_unpacker;

/* NULL: out of memory. */
struct columns_unpacker *columns_unpacker_create(void);
void columns_unpacker_destroy(struct columns_unpacker *unpacker);

/*
 * Unpack a frame of `size` bytes of a recording, all or only the head of each chunk: the events
 * take far longer, and who looks for a chunk does not need them. 1, and the size of a chunk in
 * *chunk_size. 0: damaged. -1: out of memory.
 */
int columns_unpack(struct columns_unpacker *unpacker, const uint8_t *packed, size_t packed_size,
                   bool heads_only, uint8_t *to, size_t size, uint32_t *chunk_size);

#endif
