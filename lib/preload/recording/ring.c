/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "area.h"
#include "recording.h"

#include <config/config.h>
#include <wiped.h>

#include <string.h>

static struct {
    uint64_t sequence; /* of the last claim */
    uint64_t hand;     /* chunk after the one taken over last */
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

/* Sealed chunks are in order of their claim, roughly; the hand goes round and takes the next one.
 */
static struct malloctap_chunk *take_over(void)
{
    struct area *area = chunks();
    uint64_t count = area_used(area) / RECORDING_CHUNK_SIZE;
    for (uint64_t tries = 0; tries < count; tries++) {
        uint64_t at = __atomic_fetch_add(&ring.hand, 1, __ATOMIC_RELAXED) % count;
        struct malloctap_chunk *chunk = area_at(area, at * RECORDING_CHUNK_SIZE);
        uint32_t sealed = MALLOCTAP_CHUNK_SEALED;
        /* Acquire pairs with the release in ring_release(): the former owner writes no more. */
        if (chunk != NULL &&
            __atomic_compare_exchange_n(&chunk->state, &sealed, MALLOCTAP_CHUNK_OPEN, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            recording_lost(records_overwritten, chunk->records);
            return chunk;
        }
    }
    return NULL;
}

static struct malloctap_chunk *claim(uint64_t first_ticks)
{
    uint64_t offset;
    struct malloctap_chunk *chunk = area_reserve(chunks(), RECORDING_CHUNK_SIZE, &offset);
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
    chunk->thread = thread_storage.slot->thread;
    chunk->tid = thread_storage.slot->tid;
    chunk->first_ticks = first_ticks;
    __atomic_store_n(&chunk->state, MALLOCTAP_CHUNK_OPEN, __ATOMIC_RELAXED);
    uint64_t sequence = __atomic_add_fetch(&ring.sequence, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&chunk->sequence, sequence, __ATOMIC_RELEASE);
    return chunk;
}

void ring_release(struct thread *thread)
{
    /* First let go of it: once it is sealed it may be another's. */
    struct malloctap_chunk *chunk = __atomic_exchange_n(&thread->chunk, NULL, __ATOMIC_RELAXED);
    if (chunk != NULL)
        __atomic_store_n(&chunk->state, MALLOCTAP_CHUNK_SEALED, __ATOMIC_RELEASE);
}

bool ring_append(struct thread *thread, const struct malloctap_record *record, uint64_t ticks)
{
    const uint32_t room = RECORDING_CHUNK_SIZE - sizeof(struct malloctap_chunk);
    /* Read once: a fork in a signal handler may wipe the thread's state at any moment. */
    struct malloctap_chunk *chunk = __atomic_load_n(&thread->chunk, __ATOMIC_RELAXED);
    if (chunk != NULL && chunk->committed + record->length > room) {
        ring_release(thread);
        chunk = NULL;
    }
    if (chunk == NULL) {
        chunk = claim(ticks);
        if (chunk == NULL) {
            recording_lost(records_no_space, 1);
            return false;
        }
        __atomic_store_n(&thread->chunk, chunk, __ATOMIC_RELAXED);
    }
    memcpy((char *)(chunk + 1) + chunk->committed, record, record->length);
    chunk->records++;
    /* Readers acquire `committed`: up to it, records are complete. */
    __atomic_store_n(&chunk->committed, chunk->committed + record->length, __ATOMIC_RELEASE);
    /* Nobody will seal it for a thread that has already left. */
    if (unlikely(thread_storage.slot->state == MALLOCTAP_THREAD_EXITED))
        ring_release(thread);
    return true;
}
