/* SPDX-License-Identifier: MIT */
/* reader_chunk.h - which chunks there are, and the records of one, whatever their encoding. */
#ifndef READER_CHUNK_H
#define READER_CHUNK_H

#include "reader_log.h"
#include "reader_recording.h"

/* One use of a chunk. */
struct reader_claim {
    uint64_t sequence;
    uint64_t index; /* of the chunk in the area */
    uint64_t thread;
    uint64_t first_ticks;
    bool repeated; /* an earlier one has the same sequence: one of them is damaged */
};

struct reader_claims {
    struct reader_claim *items;
    size_t count;
    size_t capacity;
};

/* List the chunks in use that may hold records from `from` to `until`, in order of sequence. False:
 * out of memory. What cannot be read ends the list, and the recording remembers it. */
bool reader_claims_list(const struct malloctap_recording *recording, uint64_t from, uint64_t until,
                        struct reader_claims *ret);
void reader_claims_deinit(struct reader_claims *claims);

/* A copy of one chunk, and how far it was read. A zeroed struct is a chunk without records. */
struct reader_chunk {
    struct malloctap_chunk head;
    uint64_t index;
    uint8_t *records; /* 8-byte aligned */
    size_t capacity;
    uint32_t position;
    struct reader_log log;
    const struct malloctap_record *record; /* the one read last */
};

enum { READER_DAMAGED = -1, READER_UNREADABLE = -2 };

/* 1: copied. 0: it was reused since it was listed, and is empty here. READER_DAMAGED: its records
 * are lost. READER_UNREADABLE: nothing more can be read of the file, or there is no memory. */
int reader_chunk_copy(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                      const struct reader_claim *claim, struct malloctap_error *error);

/* 1: chunk->record is the next record, valid until the next call. 0: there is none. READER_DAMAGED:
 * the rest of the chunk is lost. */
int reader_chunk_next(struct reader_chunk *chunk, const struct malloctap_recording *recording,
                      struct malloctap_error *error);

/* The record read last, with the thread it belongs to. */
static inline struct malloctap_event reader_chunk_event(const struct reader_chunk *chunk)
{
    return (struct malloctap_event){
        .record = chunk->record,
        .thread = chunk->head.thread,
        .old = chunk->record == &chunk->log.obtained.head ? chunk->log.old : 0,
        .tid = chunk->head.tid,
        .logged = chunk->head.content == MALLOCTAP_CHUNK_LOG};
}

/* As malloctap_record_ticks(). */
static inline uint64_t reader_record_ticks(const struct malloctap_record *record)
{
    static_assert(offsetof(struct malloctap_sample, ticks) == sizeof(*record), "ticks come first");
    static_assert(offsetof(struct malloctap_freed, ticks) == sizeof(*record), "ticks come first");
    return ((const struct malloctap_sample *)record)->ticks;
}

void reader_chunk_deinit(struct reader_chunk *chunk);

/* The latest time of any record; 0: there is none. Only chunks that were never sealed are read to
 * their end. */
uint64_t reader_last_record_ticks(const struct malloctap_recording *recording);

#endif
