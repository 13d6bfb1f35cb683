/* SPDX-License-Identifier: MIT */
/*
 * reader_chunk.c - the chunks of the ring.
 *
 * The chunks in use are listed with the sequence each had; later one after another is copied. A
 * sequence number is used once in a recording, so a chunk that has the same one in the list and
 * after it was copied was not reused in between, and the copy is whole. A system call or three for
 * each chunk, none for a record.
 */
#include "reader_chunk.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- listing ------------------------------------------------------------------------------- */

static int compare_sequences(const void *a, const void *b)
{
    const struct reader_claim *left = a, *right = b;
    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static bool add_claim(struct reader_claims *claims, struct reader_claim claim)
{
    if (claims->count == claims->capacity) {
        size_t larger = claims->capacity * 2 + 64;
        struct reader_claim *items = realloc(claims->items, larger * sizeof(*items));
        if (items == NULL)
            return false;
        claims->items = items;
        claims->capacity = larger;
    }
    claims->items[claims->count++] = claim;
    return true;
}

/* Read bytes of a chunk. */
static bool read_part(const struct malloctap_recording *recording, uint64_t index, size_t offset,
                      void *buffer, size_t size)
{
    return reader_area_read(recording, MALLOCTAP_EXTENT_CHUNKS,
                            index * recording->header.chunk_size + offset, buffer, size);
}

static bool read_sequence(const struct malloctap_recording *recording, uint64_t index,
                          uint64_t *ret)
{
    return read_part(recording, index, offsetof(struct malloctap_chunk, sequence), ret,
                     sizeof(*ret));
}

/* Read a chunk's head. False: unreadable. head->sequence is 0 where the chunk is not in use, or was
 * reused while it was read: then it belongs to those claimed later. */
static bool read_head(const struct malloctap_recording *recording, uint64_t index,
                      struct malloctap_chunk *head)
{
    uint64_t before, after;
    head->sequence = 0;
    if (!read_sequence(recording, index, &before))
        return false;
    if (before == 0)
        return true;
    reader_file_order();
    if (!read_part(recording, index, 0, head, sizeof(*head)))
        return false;
    reader_file_order();
    if (!read_sequence(recording, index, &after))
        return false;
    head->sequence = before == after ? before : 0;
    return true;
}

static bool within(const struct malloctap_chunk *head, uint64_t from, uint64_t until)
{
    bool ended = head->state == MALLOCTAP_CHUNK_SEALED && head->last_ticks >= head->first_ticks;
    return head->first_ticks <= until && !(ended && head->last_ticks < from);
}

bool reader_claims_list(const struct malloctap_recording *recording, uint64_t from, uint64_t until,
                        struct reader_claims *ret)
{
    uint64_t chunks =
        reader_area_size(recording, MALLOCTAP_EXTENT_CHUNKS) / recording->header.chunk_size;
    struct malloctap_chunk head;
    *ret = (struct reader_claims){0};
    for (uint64_t i = 0; i < chunks && read_head(recording, i, &head); i++) {
        struct reader_claim claim = {.sequence = head.sequence,
                                     .index = i,
                                     .thread = head.thread,
                                     .first_ticks = head.first_ticks};
        if (head.sequence != 0 && within(&head, from, until) && !add_claim(ret, claim)) {
            reader_claims_deinit(ret);
            return false;
        }
    }
    if (ret->count > 1)
        qsort(ret->items, ret->count, sizeof(*ret->items), compare_sequences);
    for (size_t i = 1; i < ret->count; i++)
        ret->items[i].repeated = ret->items[i].sequence == ret->items[i - 1].sequence;
    reader_file_order();
    return true;
}

void reader_claims_deinit(struct reader_claims *claims)
{
    free(claims->items);
    *claims = (struct reader_claims){0};
}

/* ---- copying ------------------------------------------------------------------------------- */

/* Give up on the rest of the chunk. */
static int damaged(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                   const char *what, size_t offset, struct malloctap_error *error)
{
    chunk->position = chunk->head.committed = 0;
    chunk->log.obtained_next = false;
    reader_error_set(error, recording->file->path,
                     "damaged chunk %" PRIu64 " (bad %s at byte %zu of it); what follows in that "
                     "chunk is lost, the other chunks can be read",
                     chunk->index, what, offset);
    return READER_DAMAGED;
}

static int unreadable(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                      struct malloctap_error *error)
{
    chunk->position = chunk->head.committed = 0;
    chunk->log.obtained_next = false;
    malloctap_recording_check(recording, error);
    return READER_UNREADABLE;
}

static bool make_room(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                      uint32_t committed)
{
    size_t needed = committed + READER_LOG_SLACK;
    if (needed <= chunk->capacity)
        return true;
    uint8_t *records = realloc(chunk->records, needed);
    if (records == NULL) {
        reader_file_fail(recording->file, "out of memory for its records; close other programs");
        return false;
    }
    chunk->records = records;
    chunk->capacity = needed;
    return true;
}

int reader_chunk_copy(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                      const struct reader_claim *claim, struct malloctap_error *error)
{
    uint32_t space = recording->header.chunk_size - (uint32_t)sizeof(chunk->head);
    struct malloctap_chunk *head = &chunk->head;
    uint64_t sequence;

    chunk->index = claim->index;
    chunk->position = 0;
    if (!read_part(recording, claim->index, 0, head, sizeof(*head)))
        return unreadable(chunk, recording, error);
    uint32_t committed = head->committed < space ? head->committed : space;
    if (!make_room(chunk, recording, committed))
        return unreadable(chunk, recording, error);
    reader_file_order(); /* `committed` is stored after the records it covers, with release */
    if (!read_part(recording, claim->index, sizeof(*head), chunk->records, committed))
        return unreadable(chunk, recording, error);
    memset(chunk->records + committed, 0, READER_LOG_SLACK);
    reader_file_order();
    if (!read_sequence(recording, claim->index, &sequence))
        return unreadable(chunk, recording, error);
    if (sequence != claim->sequence) {
        head->committed = 0;
        return 0;
    }
    if (claim->repeated)
        return damaged(chunk, recording, "sequence", offsetof(struct malloctap_chunk, sequence),
                       error);
    if (head->content > MALLOCTAP_CHUNK_LOG) /* of a later version: passed over, as records are */
        head->committed = 0;
    if (head->committed > space ||
        (head->content == MALLOCTAP_CHUNK_RECORDS && head->committed % 8 != 0))
        return damaged(chunk, recording, "committed", offsetof(struct malloctap_chunk, committed),
                       error);
    reader_log_init(&chunk->log, head->first_ticks);
    return 1;
}

void reader_chunk_deinit(struct reader_chunk *chunk)
{
    free(chunk->records);
    *chunk = (struct reader_chunk){0};
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
    return reader_record_ticks(record);
}

/* Take the record at the chunk's position. 1: done. 0: of unknown kind, passed over. */
static int next_record(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                       struct malloctap_error *error)
{
    const struct malloctap_record *record = (const void *)(chunk->records + chunk->position);
    size_t offset = sizeof(struct malloctap_chunk) + chunk->position;
    if (record->length < sizeof(*record) || record->length % 8 != 0 ||
        record->length > chunk->head.committed - chunk->position)
        return damaged(chunk, recording, "record length", offset, error);
    chunk->position += record->length;

    uint32_t least = least_length(record->kind);
    if (least == 0)
        return 0;
    if (record->length < least)
        return damaged(chunk, recording, "record length", offset, error);
    if (record->op >= MALLOCTAP_OPS)
        return damaged(chunk, recording, "record operation", offset, error);
    double weight = weight_of(record);
    if (!isfinite(weight) || weight < 1)
        return damaged(chunk, recording, "record weight", offset, error);
    chunk->record = record;
    return 1;
}

static int next_call(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                     struct malloctap_error *error)
{
    struct reader_log *log = &chunk->log;
    chunk->record = &log->obtained.head;
    if (log->obtained_next) {
        log->obtained_next = false;
        return 1;
    }
    size_t length = reader_log_decode(log, chunk->records + chunk->position,
                                      chunk->head.committed - chunk->position);
    if (length == 0)
        return damaged(chunk, recording, "log event",
                       sizeof(struct malloctap_chunk) + chunk->position, error);
    chunk->position += (uint32_t)length;
    if (log->obtained_next)
        chunk->record = &log->released.head;
    return 1;
}

int reader_chunk_next(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                      struct malloctap_error *error)
{
    int result = 0;
    while (result == 0 && (chunk->position < chunk->head.committed || chunk->log.obtained_next)) {
        result = chunk->head.content == MALLOCTAP_CHUNK_LOG ? next_call(chunk, recording, error)
                                                            : next_record(chunk, recording, error);
    }
    return result;
}

/* ---- the end ------------------------------------------------------------------------------- */

static uint64_t last_in_chunk(struct reader_chunk *chunk,
                              const struct malloctap_recording *recording,
                              const struct reader_claim *claim)
{
    struct malloctap_chunk head;
    uint64_t last = 0;
    if (read_head(recording, claim->index, &head) && head.state == MALLOCTAP_CHUNK_SEALED &&
        head.last_ticks != 0)
        return head.last_ticks;
    if (reader_chunk_copy(chunk, recording, claim, NULL) != 1)
        return 0;
    while (reader_chunk_next(chunk, recording, NULL) == 1) {
        uint64_t ticks = reader_record_ticks(chunk->record);
        last = ticks > last ? ticks : last;
    }
    return last;
}

uint64_t reader_last_record_ticks(const struct malloctap_recording *recording)
{
    struct reader_claims claims;
    struct reader_chunk chunk = {0};
    uint64_t last = 0;
    if (!reader_claims_list(recording, 0, UINT64_MAX, &claims))
        return 0;
    for (size_t i = 0; i < claims.count; i++) {
        uint64_t ticks = last_in_chunk(&chunk, recording, &claims.items[i]);
        last = ticks > last ? ticks : last;
    }
    reader_chunk_deinit(&chunk);
    reader_claims_deinit(&claims);
    return last;
}
