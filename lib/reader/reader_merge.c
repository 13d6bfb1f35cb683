/* SPDX-License-Identifier: MIT */
/*
 * reader_merge.c - all records in order of time: a merge of the threads, each of which wrote its
 * own in that order.
 *
 * A heap holds every thread that has more to tell, by the time of its next record. Of a thread
 * whose next record is in a chunk that was not copied yet, that is the time the chunk says nothing
 * in it precedes; the chunk is copied when the merge comes to it. So there is a copy for each
 * thread that has records on both sides of the present moment, however many threads and chunks
 * there are.
 */
#include "reader_chunk.h"

#include <stdlib.h>

struct stream {
    size_t next; /* claims of this thread that were not copied yet: next ... end - 1 */
    size_t end;
    struct reader_chunk *copy; /* NULL: the next claim is to be copied first */
};

/* Where a thread stands, smallest first. */
struct position {
    uint64_t ticks;
    uint64_t
        rank; /* among equal ticks: chunks to copy, ends of blocks, beginnings; then by thread */
    size_t stream;
};

struct malloctap_merge {
    const struct malloctap_recording *recording;
    uint64_t from, until;
    struct reader_claims claims; /* by thread, then sequence */
    struct stream *streams;
    size_t stream_count;
    struct position *heap;
    size_t heap_count;
    bool handed_out; /* the first stream's event was returned: go on to its next */
};

#define RANK_COPY 0u
#define RANK_BEGINNING (UINT64_C(1) << 63)

/* ---- the heap ------------------------------------------------------------------------------ */

static inline bool precedes(const struct position *a, const struct position *b)
{
    return a->ticks != b->ticks ? a->ticks < b->ticks : a->rank < b->rank;
}

/* Put a position at `i`, or where that is too early for it, let it sink to where it belongs. */
static inline void sink(struct malloctap_merge *merge, size_t i, struct position sinking)
{
    struct position *heap = merge->heap;
    for (size_t child; (child = 2 * i + 1) < merge->heap_count; i = child) {
        if (child + 1 < merge->heap_count && precedes(&heap[child + 1], &heap[child]))
            child++;
        if (!precedes(&heap[child], &sinking))
            break;
        heap[i] = heap[child];
    }
    heap[i] = sinking;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int compare_threads(const void *a, const void *b)
{
    const struct reader_claim *left = a, *right = b;
    if (left->thread != right->thread)
        return left->thread < right->thread ? -1 : 1;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

static size_t count_threads(const struct reader_claims *claims)
{
    size_t threads = 0;
    for (size_t i = 0; i < claims->count; i++)
        threads += i == 0 || claims->items[i].thread != claims->items[i - 1].thread;
    return threads;
}

/* A stream for each thread, each waiting for its first chunk. */
static bool create_streams(struct malloctap_merge *merge)
{
    const struct reader_claim *claims = merge->claims.items;
    size_t threads = count_threads(&merge->claims), stream = 0;
    merge->stream_count = merge->heap_count = threads;
    merge->streams = calloc(threads + 1, sizeof(*merge->streams));
    merge->heap = calloc(threads + 1, sizeof(*merge->heap));
    if (merge->streams == NULL || merge->heap == NULL)
        return false;
    for (size_t i = 0, end; i < merge->claims.count; i = end, stream++) {
        for (end = i + 1; end < merge->claims.count && claims[end].thread == claims[i].thread;)
            end++;
        merge->streams[stream] = (struct stream){.next = i, .end = end};
        merge->heap[stream] =
            (struct position){.ticks = claims[i].first_ticks, .rank = RANK_COPY, .stream = stream};
    }
    for (size_t i = threads / 2; i-- > 0;)
        sink(merge, i, merge->heap[i]);
    return true;
}

int malloctap_merge_open(const struct malloctap_recording *recording, uint64_t from, uint64_t until,
                         struct malloctap_merge **ret, struct malloctap_error *error)
{
    struct malloctap_merge *merge = calloc(1, sizeof(*merge));
    if (merge == NULL || !reader_claims_list(recording, from, until, &merge->claims))
        goto out_of_memory;
    merge->recording = recording;
    merge->from = from;
    merge->until = until;
    if (merge->claims.count > 1)
        qsort(merge->claims.items, merge->claims.count, sizeof(*merge->claims.items),
              compare_threads);
    if (!create_streams(merge))
        goto out_of_memory;
    *ret = merge;
    return 0;

out_of_memory:
    malloctap_merge_close(merge);
    return reader_error_set(error, recording->file->path, "out of memory; close other programs");
}

static void drop_copy(struct stream *stream)
{
    if (stream->copy == NULL)
        return;
    reader_chunk_deinit(stream->copy);
    free(stream->copy);
    stream->copy = NULL;
}

void malloctap_merge_close(struct malloctap_merge *merge)
{
    if (merge == NULL)
        return;
    for (size_t i = 0; merge->streams != NULL && i < merge->stream_count; i++)
        drop_copy(&merge->streams[i]);
    free(merge->heap);
    free(merge->streams);
    reader_claims_deinit(&merge->claims);
    free(merge);
}

/* ---- going on ------------------------------------------------------------------------------ */

/* The first thread's next record is not before this. */
static inline void move_first(struct malloctap_merge *merge, uint64_t ticks, uint64_t rank)
{
    sink(merge, 0, (struct position){ticks, rank, merge->heap[0].stream});
}

/* The first thread has nothing more to tell. */
static void remove_first(struct malloctap_merge *merge)
{
    sink(merge, 0, merge->heap[--merge->heap_count]);
}

/* The chunk is read to its end: let the stream wait for its next one. */
static void leave_chunk(struct malloctap_merge *merge, struct stream *stream)
{
    drop_copy(stream);
    if (stream->next == stream->end) {
        remove_first(merge);
        return;
    }
    move_first(merge, merge->claims.items[stream->next].first_ticks, RANK_COPY);
}

/* Find the first stream's next record and its place. 0, or -1 where the chunk is damaged. */
static int advance(struct malloctap_merge *merge, struct stream *stream,
                   struct malloctap_error *error)
{
    const struct reader_chunk *copy = stream->copy;
    int result = reader_chunk_next(stream->copy, merge->recording, error);
    if (result <= 0) {
        leave_chunk(merge, stream);
        return result;
    }
    bool begins = copy->record->kind == MALLOCTAP_RECORD_ALLOC;
    move_first(merge, reader_record_ticks(copy->record),
               (begins ? RANK_BEGINNING : 0) | (copy->head.thread & (RANK_BEGINNING - 1)));
    return 0;
}

/* Copy the chunk that the first stream waits for. 0, or -1 where that fails. */
static int open_chunk(struct malloctap_merge *merge, struct stream *stream,
                      struct malloctap_error *error)
{
    const struct malloctap_recording *recording = merge->recording;
    stream->copy = calloc(1, sizeof(*stream->copy));
    if (stream->copy == NULL) {
        merge->heap_count = 0;
        reader_file_fail(recording->file, "out of memory for its records; close other programs");
        return malloctap_recording_check(recording, error);
    }
    int result =
        reader_chunk_copy(stream->copy, recording, &merge->claims.items[stream->next++], error);
    if (result == 1)
        return advance(merge, stream, error);
    if (result == READER_UNREADABLE)
        merge->heap_count = 0;
    else
        leave_chunk(merge, stream);
    return result == 0 ? 0 : -1;
}

int malloctap_merge_next(struct malloctap_merge *merge, struct malloctap_event *ret,
                         struct malloctap_error *error)
{
    for (;;) {
        struct stream *stream = &merge->streams[merge->heap[0].stream];
        int result = 0;
        if (merge->handed_out) {
            merge->handed_out = false;
            result = advance(merge, stream, error);
        } else if (merge->heap_count == 0 || merge->heap[0].ticks > merge->until) {
            return 0;
        } else if (stream->copy == NULL) {
            result = open_chunk(merge, stream, error);
        } else {
            merge->handed_out = true;
            if (merge->heap[0].ticks >= merge->from) {
                *ret = reader_chunk_event(stream->copy);
                return 1;
            }
        }
        if (result < 0)
            return -1;
    }
}
