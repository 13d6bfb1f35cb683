/* SPDX-License-Identifier: MIT */
/*
 * fuzz_columns.c - any bytes as chunks must come back from columns; columns that were damaged
 * behind the back of their checksums must be refused or be those of chunks that come back again.
 *
 * The damage is drawn from the input itself: the same input, the same damage.
 */
#include "../../support/columns_frame.h"

#include <columns.h>

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { CHUNK_SIZE = 4096, ROUNDS = 8 };

static struct columns_packer *packer;
static struct columns_unpacker *unpacker;
static uint64_t random_state;

static size_t random_below(size_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return limit == 0 ? 0 : (random_state >> 33) % limit;
}

static void seed(const uint8_t *data, size_t size)
{
    random_state = size;
    for (size_t i = 0; i < size; i++)
        random_state = (random_state ^ data[i]) * 0x100000001b3;
}

/* Unpack into memory of just that size. NULL: refused. */
static uint8_t *unpack(const uint8_t *packed, size_t packed_size, size_t size)
{
    uint32_t chunk_size;
    uint8_t *chunks = malloc(size), *heads = malloc(size);
    int result = columns_unpack(unpacker, packed, packed_size, false, chunks, size, &chunk_size);
    int result_of_heads =
        columns_unpack(unpacker, packed, packed_size, true, heads, size, &chunk_size);
    REQUIRE(result >= 0 && result_of_heads >= result);
    for (size_t i = 0; result == 1 && i < size; i += chunk_size)
        REQUIRE(memcmp(chunks + i, heads + i, 64) == 0);
    free(heads);
    if (result == 1)
        return chunks;
    free(chunks);
    return NULL;
}

/* Chunks, and behind them the slack, come back. Returns false where they were not put in columns.
 */
static bool there_and_back(const uint8_t *chunks, size_t size, struct columns_frame *frame)
{
    const uint8_t *packed;
    size_t packed_size = columns_pack(packer, chunks, size, CHUNK_SIZE, &packed);
    if (packed_size == 0)
        return false;
    uint8_t *back = unpack(packed, packed_size, size);
    REQUIRE(back != NULL && memcmp(back, chunks, size) == 0);
    free(back);
    REQUIRE(columns_frame_split(packed, packed_size, frame));
    return true;
}

static void damage(struct columns_frame *frame)
{
    for (size_t damages = 1 + random_below(4); damages > 0; damages--) {
        unsigned column = (unsigned)random_below(COLUMNS_COUNT);
        size_t size = frame->columns[column].size;
        uint8_t *bytes = frame->columns[column].bytes;
        if (size == 0)
            continue;
        switch (random_below(4)) {
        case 0:
            frame->columns[column].size = random_below(size);
            break;
        case 1:
            bytes[random_below(size)] ^= (uint8_t)(1u << random_below(8));
            break;
        default:
            bytes[random_below(size)] = (uint8_t)random_below(256);
        }
    }
}

static void unpack_damaged(struct columns_frame *frame, size_t size)
{
    size_t packed_size;
    damage(frame);
    uint8_t *packed = columns_frame_join(frame, &packed_size);
    uint8_t *chunks = unpack(packed, packed_size, size);
    free(packed);
    if (chunks == NULL)
        return;
    struct columns_frame again;
    chunks = realloc(chunks, size + COLUMNS_PACK_SLACK);
    memset(chunks + size, 0, COLUMNS_PACK_SLACK);
    if (there_and_back(chunks, size, &again))
        columns_frame_deinit(&again);
    free(chunks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct columns_frame frame;
    if (packer == NULL) {
        packer = columns_packer_create(1);
        unpacker = columns_unpacker_create();
    }
    size_t whole = size / CHUNK_SIZE * CHUNK_SIZE;
    uint8_t *chunks = calloc(1, size + COLUMNS_PACK_SLACK);
    memcpy(chunks, data, size);
    seed(data, size);
    free(unpack(data, size, CHUNK_SIZE + whole)); /* as a frame in columns itself */
    for (int round = 0; round < ROUNDS && there_and_back(chunks, whole, &frame); round++) {
        unpack_damaged(&frame, whole);
        columns_frame_deinit(&frame);
    }
    free(chunks);
    return 0;
}
