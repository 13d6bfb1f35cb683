/* SPDX-License-Identifier: MIT */
/*
 * ring.h - records, in chunks that one thread owns at a time.
 *
 * A thread claims a chunk with one atomic operation and fills it alone; each record is published by
 * a release store of the chunk's `committed`. A chunk is allocated on disk when it is claimed, and
 * when it is full the process lets go of its memory, so what a long recording takes is the file.
 * When the ring may not grow further, the oldest sealed chunk is taken over and its records are
 * counted as overwritten; a chunk in use is never taken.
 */
#ifndef PRELOAD_RING_H
#define PRELOAD_RING_H

#include "recording.h"

#include <compiler.h>
#include <config/config.h>
#include <malloctap/recording.h>

#include <stdbool.h>

/* A thread's place in the ring; valid when zero. A fork in a signal handler may zero it at any
 * moment, so its fields are read once. */
struct ring_writer {
    struct malloctap_chunk *chunk;  /* NULL: none is open */
    struct malloctap_chunk *sealed; /* the one before; it may be another's by now */
    uint64_t last_ticks;            /* of the last record */
};

static always_inline bool ring_fits(const struct malloctap_chunk *chunk,
                                    enum malloctap_chunk_content content, uint32_t size)
{
    const uint32_t room = config.chunk - (uint32_t)sizeof(struct malloctap_chunk);
    return chunk->committed + size <= room && chunk->content == content;
}

struct malloctap_chunk *ring_next_chunk(struct ring_writer *writer,
                                        const struct malloctap_thread_slot *slot,
                                        enum malloctap_chunk_content content, uint32_t size,
                                        uint64_t ticks);

/*
 * The chunk in which the thread's next `size` bytes, a record of this moment, go at its tail. NULL
 * when there is no space: counted as one record lost.
 */
static always_inline struct malloctap_chunk *ring_chunk(struct ring_writer *writer,
                                                        const struct malloctap_thread_slot *slot,
                                                        enum malloctap_chunk_content content,
                                                        uint32_t size, uint64_t ticks)
{
    struct malloctap_chunk *chunk = __atomic_load_n(&writer->chunk, __ATOMIC_RELAXED);
    if (likely(chunk != NULL && ring_fits(chunk, content, size)))
        return chunk;
    return ring_next_chunk(writer, slot, content, size, ticks);
}

/* The first byte behind the records in a chunk. */
static inline unsigned char *ring_tail(struct malloctap_chunk *chunk)
{
    return (unsigned char *)(chunk + 1) + chunk->committed;
}

/* The thread is done with its chunk: others may take it over. */
void ring_release(struct ring_writer *writer);

/* `size` bytes at the tail are a complete record. */
static always_inline void ring_commit(struct ring_writer *writer,
                                      const struct malloctap_thread_slot *slot,
                                      struct malloctap_chunk *chunk, uint32_t size, uint64_t ticks)
{
    writer->last_ticks = ticks;
    chunk->records++;
    /* Readers acquire `committed`: up to it, records are complete. */
    __atomic_store_n(&chunk->committed, chunk->committed + size, __ATOMIC_RELEASE);
    /* Nobody will seal it for a thread that has already left. */
    if (unlikely(slot->state == MALLOCTAP_THREAD_EXITED))
        ring_release(writer);
}

/* Append a record (its head.length bytes). False when there is no space: counted. */
bool ring_append(struct ring_writer *writer, const struct malloctap_thread_slot *slot,
                 const struct malloctap_record *record, uint64_t ticks);

bool ring_wipe_on_fork(void);
void ring_wipe(void);

#endif
