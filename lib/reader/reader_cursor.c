/* SPDX-License-Identifier: MIT */
/*
 * reader_cursor.c - all records, a chunk at a time.
 *
 * The cursor first lists the chunks with the sequence each had, then copies chunk after chunk in
 * that order. A sequence number is used once in a recording, so a chunk that has the same one in
 * the list and after it was copied was not reused in between, and the copy is whole. A system call
 * or three for each chunk, none for a record.
 */
#include "reader_recording.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

struct claim {
    uint64_t sequence;
    uint64_t index; /* of the chunk in the area */
};

struct malloctap_cursor {
    const struct malloctap_recording *recording;
    struct claim *claims; /* in order of sequence */
    size_t count;
    size_t next; /* the claim to copy next */

    struct malloctap_chunk chunk; /* the chunk copied last, */
    uint64_t *records;            /* its records (8-byte aligned), */
    uint32_t position;            /* and what was read of them */
};

/* ---- listing the chunks -------------------------------------------------------------------- */

static int compare_claims(const void *a, const void *b)
{
    const struct claim *left = a, *right = b;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

static bool add_claim(struct malloctap_cursor *cursor, size_t *capacity, struct claim claim)
{
    if (cursor->count == *capacity) {
        size_t larger = *capacity * 2 + 64;
        struct claim *claims = realloc(cursor->claims, larger * sizeof(*claims));
        if (claims == NULL)
            return false;
        cursor->claims = claims;
        *capacity = larger;
    }
    cursor->claims[cursor->count++] = claim;
    return true;
}

/* False: out of memory. What cannot be read ends the list, and the recording remembers it. */
static bool list_claims(struct malloctap_cursor *cursor)
{
    const struct malloctap_recording *recording = cursor->recording;
    uint32_t chunk_size = recording->header.chunk_size;
    uint64_t chunks = reader_area_size(recording, MALLOCTAP_EXTENT_CHUNKS) / chunk_size;
    size_t capacity = 0;
    for (uint64_t i = 0; i < chunks; i++) {
        struct claim claim = {.index = i};
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_CHUNKS,
                              i * chunk_size + offsetof(struct malloctap_chunk, sequence),
                              &claim.sequence, sizeof(claim.sequence)))
            break;
        if (claim.sequence != 0 && !add_claim(cursor, &capacity, claim))
            return false;
    }
    if (cursor->count > 1)
        qsort(cursor->claims, cursor->count, sizeof(*cursor->claims), compare_claims);
    reader_file_order();
    return true;
}

int malloctap_cursor_open(const struct malloctap_recording *recording,
                          struct malloctap_cursor **ret, struct malloctap_error *error)
{
    struct malloctap_cursor *cursor = calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return reader_error_set(error, recording->file->path,
                                "out of memory; close other programs");
    cursor->recording = recording;
    cursor->records = malloc(recording->header.chunk_size - sizeof(struct malloctap_chunk));
    if (cursor->records == NULL || !list_claims(cursor)) {
        malloctap_cursor_close(cursor);
        return reader_error_set(error, recording->file->path,
                                "out of memory; close other programs");
    }
    *ret = cursor;
    return 0;
}

void malloctap_cursor_close(struct malloctap_cursor *cursor)
{
    if (cursor == NULL)
        return;
    free(cursor->claims);
    free(cursor->records);
    free(cursor);
}

/* ---- copying a chunk ----------------------------------------------------------------------- */

/* Give up on the rest of the chunk copied last. */
static int damaged(struct malloctap_cursor *cursor, const char *what, size_t offset,
                   struct malloctap_error *error)
{
    cursor->position = cursor->chunk.committed = 0;
    return reader_error_set(error, cursor->recording->file->path,
                            "damaged chunk %" PRIu64 " (bad %s at byte %zu of it); what follows in "
                            "that chunk is lost, the other chunks can be read",
                            cursor->claims[cursor->next - 1].index, what, offset);
}

static int unreadable(struct malloctap_cursor *cursor, struct malloctap_error *error)
{
    cursor->next = cursor->count;
    cursor->position = cursor->chunk.committed = 0;
    return malloctap_recording_check(cursor->recording, error);
}

/* Copy the next chunk. 1: done. 0: there is none, or it was reused meanwhile and is empty here. */
static int copy_chunk(struct malloctap_cursor *cursor, struct malloctap_error *error)
{
    const struct malloctap_recording *recording = cursor->recording;
    const struct claim *claim = &cursor->claims[cursor->next++];
    uint32_t space = recording->header.chunk_size - (uint32_t)sizeof(struct malloctap_chunk);
    uint64_t offset = claim->index * recording->header.chunk_size, sequence;
    struct malloctap_chunk *chunk = &cursor->chunk;

    cursor->position = 0;
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_CHUNKS, offset, chunk, sizeof(*chunk)))
        return unreadable(cursor, error);
    uint32_t committed = chunk->committed < space ? chunk->committed : space;
    reader_file_order(); /* `committed` is stored after the records it covers, with release */
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_CHUNKS, offset + sizeof(*chunk),
                          cursor->records, committed))
        return unreadable(cursor, error);
    reader_file_order();
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_CHUNKS,
                          offset + offsetof(struct malloctap_chunk, sequence), &sequence,
                          sizeof(sequence)))
        return unreadable(cursor, error);
    if (sequence != claim->sequence) {
        chunk->committed = 0;
        return 0;
    }
    if (cursor->next > 1 && claim[-1].sequence == sequence)
        return damaged(cursor, "sequence", offsetof(struct malloctap_chunk, sequence), error);
    if (chunk->committed > space || chunk->committed % 8 != 0)
        return damaged(cursor, "committed", offsetof(struct malloctap_chunk, committed), error);
    return 1;
}

/* ---- records ------------------------------------------------------------------------------- */

/* Bytes a record of a known kind has at least; 0: unknown kind. Later versions may append fields.
 */
static uint32_t least_length(uint8_t kind)
{
    switch (kind) {
    case MALLOCTAP_RECORD_ALLOC:
    case MALLOCTAP_RECORD_FREE:
        return sizeof(struct malloctap_sample);
    case MALLOCTAP_RECORD_FREED:
        return sizeof(struct malloctap_freed);
    default:
        return 0;
    }
}

static double weight_of(const struct malloctap_record *record)
{
    return record->kind == MALLOCTAP_RECORD_FREED
               ? ((const struct malloctap_freed *)record)->weight
               : ((const struct malloctap_sample *)record)->weight;
}

uint64_t malloctap_record_ticks(const struct malloctap_record *record)
{
    static_assert(offsetof(struct malloctap_sample, ticks) == sizeof(*record), "ticks come first");
    static_assert(offsetof(struct malloctap_freed, ticks) == sizeof(*record), "ticks come first");
    return ((const struct malloctap_sample *)record)->ticks;
}

/* Take the record at the cursor's position. 1: *ret is it. 0: of unknown kind, passed over. */
static int take_record(struct malloctap_cursor *cursor, struct malloctap_event *ret,
                       struct malloctap_error *error)
{
    const struct malloctap_record *record =
        (const struct malloctap_record *)(cursor->records + cursor->position / 8);
    size_t offset = sizeof(struct malloctap_chunk) + cursor->position;
    if (record->length < sizeof(*record) || record->length % 8 != 0 ||
        record->length > cursor->chunk.committed - cursor->position)
        return damaged(cursor, "record length", offset, error);
    cursor->position += record->length;

    uint32_t least = least_length(record->kind);
    if (least == 0)
        return 0;
    if (record->length < least)
        return damaged(cursor, "record length", offset, error);
    if (record->op >= MALLOCTAP_OPS)
        return damaged(cursor, "record operation", offset, error);
    double weight = weight_of(record);
    if (!isfinite(weight) || weight < 1)
        return damaged(cursor, "record weight", offset, error);
    *ret = (struct malloctap_event){
        .record = record, .thread = cursor->chunk.thread, .tid = cursor->chunk.tid};
    return 1;
}

int malloctap_cursor_next(struct malloctap_cursor *cursor, struct malloctap_event *ret,
                          struct malloctap_error *error)
{
    for (;;) {
        int result = 0;
        if (cursor->position < cursor->chunk.committed) {
            result = take_record(cursor, ret, error);
            if (result != 0)
                return result;
        } else if (cursor->next == cursor->count) {
            return 0;
        } else if (copy_chunk(cursor, error) < 0) {
            return -1;
        }
    }
}
