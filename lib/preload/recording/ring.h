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

#include <malloctap/recording.h>

#include <stdbool.h>

/* A thread's place in the ring; valid when zero. A fork in a signal handler may zero it at any
 * moment, so its fields are read once. */
struct ring_writer {
    struct malloctap_chunk *chunk;  /* NULL: none is open */
    struct malloctap_chunk *sealed; /* the one before; it may be another's by now */
    uint64_t last_ticks;            /* of the last record */
};

/*
 * The chunk in which the thread's next `size` bytes, a record of this moment, go at its tail. NULL
 * when there is no space: counted as one record lost.
 */
struct malloctap_chunk *ring_chunk(struct ring_writer *writer,
                                   const struct malloctap_thread_slot *slot,
                                   enum malloctap_chunk_content content, uint32_t size,
                                   uint64_t ticks);

/* The first byte behind the records in a chunk. */
static inline unsigned char *ring_tail(struct malloctap_chunk *chunk)
{
    return (unsigned char *)(chunk + 1) + chunk->committed;
}

/* `size` bytes at the tail are a complete record. */
void ring_commit(struct ring_writer *writer, const struct malloctap_thread_slot *slot,
                 struct malloctap_chunk *chunk, uint32_t size, uint64_t ticks);

/* Append a record (its head.length bytes). False when there is no space: counted. */
bool ring_append(struct ring_writer *writer, const struct malloctap_thread_slot *slot,
                 const struct malloctap_record *record, uint64_t ticks);

/* The thread is done with its chunk: others may take it over. */
void ring_release(struct ring_writer *writer);

bool ring_wipe_on_fork(void);
void ring_wipe(void);

#endif
