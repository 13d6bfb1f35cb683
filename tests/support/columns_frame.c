/* SPDX-License-Identifier: MIT */
#include "columns_frame.h"

#include <stdlib.h>
#include <zstd.h>

static uint32_t word(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

static void put_word(uint8_t *to, size_t value)
{
    uint32_t word = htole32((uint32_t)value);
    memcpy(to, &word, sizeof(word));
}

bool columns_frame_split(const uint8_t *packed, size_t size, struct columns_frame *ret)
{
    size_t at = COLUMNS_HEADER_SIZE;
    *ret = (struct columns_frame){.chunk_size = word(packed + 8)};
    for (unsigned i = 0; i < COLUMNS_COUNT; i++) {
        size_t compressed = word(packed + COLUMNS_FIXED_SIZE + 8 * i);
        ret->columns[i].size = word(packed + COLUMNS_FIXED_SIZE + 8 * i + 4);
        ret->columns[i].bytes = malloc(ret->columns[i].size + 1);
        if (compressed > size - at ||
            ZSTD_decompress(ret->columns[i].bytes, ret->columns[i].size, packed + at, compressed) !=
                ret->columns[i].size) {
            columns_frame_deinit(ret);
            return false;
        }
        at += compressed;
    }
    return at == size;
}

void columns_frame_deinit(struct columns_frame *frame)
{
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        free(frame->columns[i].bytes);
    *frame = (struct columns_frame){0};
}

uint8_t *columns_frame_join(const struct columns_frame *frame, size_t *ret)
{
    size_t room = COLUMNS_HEADER_SIZE, at = COLUMNS_HEADER_SIZE;
    for (unsigned i = 0; i < COLUMNS_COUNT; i++)
        room += ZSTD_compressBound(frame->columns[i].size);
    uint8_t *packed = malloc(room);
    put_word(packed, COLUMNS_MAGIC);
    put_word(packed + 4, COLUMNS_HEADER_SIZE - 8);
    put_word(packed + 8, frame->chunk_size);
    put_word(packed + 12, COLUMNS_COUNT);
    for (unsigned i = 0; i < COLUMNS_COUNT; i++) {
        size_t compressed = ZSTD_compress(packed + at, room - at, frame->columns[i].bytes,
                                          frame->columns[i].size, 1);
        put_word(packed + COLUMNS_FIXED_SIZE + 8 * i, compressed);
        put_word(packed + COLUMNS_FIXED_SIZE + 8 * i + 4, frame->columns[i].size);
        at += compressed;
    }
    *ret = at;
    return packed;
}
