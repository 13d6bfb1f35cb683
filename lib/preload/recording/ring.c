/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "area.h"

#include <config/config.h>
#include <wiped.h>

#include <string.h>

#define RETRY_TICKS (1000000000u / RECORDING_TICK_NS)

static struct {
    uint64_t sequence;             /* of the last claim */
    uint64_t hand;                 /* chunk after the one taken over last */
    uint64_t retry_at;             /* the disk was full: do not ask again before */
    struct malloctap_chunk *spare; /* reserved when it was */
} WIPED ring;

bool ring_wipe_on_fork(void)
{
    return wipe_on_fork(&ring, sizeof ring);
}

void ring_wipe(void)
{
    memset(&ring, 0, sizeof ring);
}

static struct area *chunks(void)
{
    struct area *area = area_of(MALLOCTAP_EXTENT_CHUNKS);
    area_limit(area, config.ring ? ALIGN_UP(config.ring, 65536) : 0);
    return area;
}

/* A chunk that was never used, allocated on disk. */
static struct malloctap_chunk *fresh(uint64_t now)
{
    if (now < __atomic_load_n(&ring.retry_at, __ATOMIC_RELAXED))
        return NULL;
    struct malloctap_chunk *chunk = __atomic_exchange_n(&ring.spare, NULL, __ATOMIC_RELAXED);
    uint64_t offset;
    if (chunk == NULL)
        chunk = area_reserve(chunks(), config.chunk, &offset);
    if (chunk == NULL || recording_fill(chunk, config.chunk))
        return chunk;
    __atomic_store_n(&ring.spare, chunk, __ATOMIC_RELAXED);
    __atomic_store_n(&ring.retry_at, now + RETRY_TICKS, __ATOMIC_RELAXED);
    return NULL;
}

/* Before the chunk's records are gone: from now on nothing up to its last one is complete. */
static void note_overwritten(const struct malloctap_chunk *chunk)
{
    uint64_t *until = &recording_header()->overwritten_until;
    uint64_t seen = __atomic_load_n(until, __ATOMIC_RELAXED);
    while (seen < chunk->last_ticks &&
           !__atomic_compare_exchange_n(until, &seen, chunk->last_ticks, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
    recording_lost(records_overwritten, chunk->records);
}

/* Sealed chunks are in order of their claim, roughly; the hand goes round and takes the next one.
 */
static struct malloctap_chunk *take_over(void)
{
    struct area *area = chunks();
    uint64_t count = config.ring ? area_used(area) / config.chunk : 0;
    for (uint64_t tries = 0; tries < count; tries++) {
        uint64_t at = __atomic_fetch_add(&ring.hand, 1, __ATOMIC_RELAXED) % count;
        struct malloctap_chunk *chunk = area_at(area, at * config.chunk);
        uint32_t sealed = MALLOCTAP_CHUNK_SEALED;
        /* Others may have reserved chunks that they are only about to fill, or that found no space:
         * those are holes, which on a full tmpfs not even a look survives.
         * Acquire pairs with the release in ring_release(): the former owner writes no more. */
        if (chunk != NULL && recording_fill(chunk, config.chunk) &&
            __atomic_compare_exchange_n(&chunk->state, &sealed, MALLOCTAP_CHUNK_OPEN, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            note_overwritten(chunk);
            return chunk;
        }
    }
    return NULL;
}

static struct malloctap_chunk *claim(const struct malloctap_thread_slot *slot,
                                     enum malloctap_chunk_content content, uint64_t first_ticks)
{
    struct malloctap_chunk *chunk = fresh(first_ticks);
    if (chunk == NULL)
        chunk = take_over();
    if (chunk == NULL)
        return NULL;
    /* A reader that copied the old records sees that the sequence changed: first void the chunk,
     * then reuse it, then name it anew. Release fences order the three for readers. */
    __atomic_store_n(&chunk->sequence, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&chunk->committed, 0, __ATOMIC_RELAXED);
    chunk->records = 0;
    chunk->content = content;
    chunk->thread = slot->thread;
    chunk->tid = slot->tid;
    chunk->first_ticks = first_ticks;
    chunk->last_ticks = 0;
    __atomic_store_n(&chunk->state, MALLOCTAP_CHUNK_OPEN, __ATOMIC_RELAXED);
    uint64_t sequence = __atomic_add_fetch(&ring.sequence, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&chunk->sequence, sequence, __ATOMIC_RELEASE);
    return chunk;
}

void ring_release(struct ring_writer *writer)
{
    /* First let go of it: once it is sealed it may be another's. */
    struct malloctap_chunk *chunk = __atomic_exchange_n(&writer->chunk, NULL, __ATOMIC_RELAXED);
    if (chunk == NULL)
        return;
    writer->sealed = chunk;
    chunk->last_ticks = writer->last_ticks;
    __atomic_store_n(&chunk->state, MALLOCTAP_CHUNK_SEALED, __ATOMIC_RELEASE);
    recording_let_go(chunk, config.chunk);
}

/* A thread that has left seals its chunk after each call that it makes all the same; if nobody took
 * it over, it goes on there. */
static struct malloctap_chunk *reopen(struct ring_writer *writer,
                                      const struct malloctap_thread_slot *slot,
                                      enum malloctap_chunk_content content, uint32_t size)
{
    struct malloctap_chunk *chunk = __atomic_load_n(&writer->sealed, __ATOMIC_RELAXED);
    uint32_t sealed = MALLOCTAP_CHUNK_SEALED;
    if (chunk == NULL || slot->state != MALLOCTAP_THREAD_EXITED ||
        !__atomic_compare_exchange_n(&chunk->state, &sealed, MALLOCTAP_CHUNK_OPEN, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return NULL;
    if (chunk->thread == slot->thread && ring_fits(chunk, content, size))
        return chunk;
    __atomic_store_n(&chunk->state, MALLOCTAP_CHUNK_SEALED, __ATOMIC_RELEASE);
    return NULL;
}

struct malloctap_chunk *ring_next_chunk(struct ring_writer *writer,
                                        const struct malloctap_thread_slot *slot,
                                        enum malloctap_chunk_content content, uint32_t size,
                                        uint64_t ticks)
{
    ring_release(writer);
    struct malloctap_chunk *chunk = reopen(writer, slot, content, size);
    if (chunk == NULL)
        chunk = claim(slot, content, ticks);
    if (chunk == NULL)
        recording_lost_record(ticks);
    else
        __atomic_store_n(&writer->chunk, chunk, __ATOMIC_RELAXED);
    return chunk;
}

bool ring_append(struct ring_writer *writer, const struct malloctap_thread_slot *slot,
                 const struct malloctap_record *record, uint64_t ticks)
{
    struct malloctap_chunk *chunk =
        ring_chunk(writer, slot, MALLOCTAP_CHUNK_RECORDS, record->length, ticks);
    if (chunk == NULL)
        return false;
    memcpy(ring_tail(chunk), record, record->length);
    ring_commit(writer, slot, chunk, record->length, ticks);
    return true;
}
