/* SPDX-License-Identifier: MIT */
#include "recording_builder.h"

#include "builder_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define KINDS (MALLOCTAP_EXTENT_LOCKS + 1)

/* Things of one kind, each allocated on its own so that pointers to them stay valid. */
struct list {
    void **items;
    size_t count;
};

struct chunk {
    struct malloctap_chunk head;
    uint64_t last_ticks; /* of its records so far */
    struct builder_log_base base;
    uint8_t *records;
};

struct recording_builder {
    struct malloctap_header header;
    struct list threads;
    struct list modules;
    struct list latencies;
    struct list locks;
    struct list chunks;
    uint64_t *depot; /* words of the DEPOT area; a stack's id is its index */
    size_t depot_words;
    uint64_t extent_size[KINDS]; /* largest extent of a kind; 0: no limit */
};

static void *checked(void *memory)
{
    if (memory == NULL) {
        perror("recording_builder");
        abort();
    }
    return memory;
}

static void *list_add(struct list *list, size_t size)
{
    list->items = checked(realloc(list->items, (list->count + 1) * sizeof(*list->items)));
    return list->items[list->count++] = checked(calloc(1, size));
}

static void list_deinit(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

struct recording_builder *recording_builder_create(void)
{
    struct recording_builder *builder = checked(calloc(1, sizeof(*builder)));
    builder->header = (struct malloctap_header){
        .magic = MALLOCTAP_MAGIC,
        .version = MALLOCTAP_VERSION,
        .byte_order = MALLOCTAP_BYTE_ORDER,
        .header_size = MALLOCTAP_HEADER_SIZE,
        .header_used = sizeof(struct malloctap_header),
        .state = MALLOCTAP_STATE_FINISHED,
        .mode = MALLOCTAP_MODE_SAMPLE,
        .pid = 4711,
        .parent_pid = 4710,
        .arch = 62, /* EM_X86_64 */
        .pointer_bits = 64,
        .page_size = PAGE,
        .chunk_size = RECORDING_BUILDER_CHUNK_SIZE,
        .start_realtime_ns = 1700000000000000000ULL,
        .start_ticks = RECORDING_BUILDER_START_TICKS,
        .end_ticks = RECORDING_BUILDER_START_TICKS + 1000000000u,
        .clock_mult = 1,
        .clock_shift = 0,
        .sample_mean = 524288,
        .call_units = 64,
        .executable = "/usr/bin/example",
        .command_line = "example --fast",
        .backend = "own",
        .backend_object = "/usr/lib/libc.so.6",
        .options = "mode=sample",
    };
    builder->depot_words = 1; /* id 0 means no stack */
    builder->depot = checked(calloc(1, sizeof(*builder->depot)));
    return builder;
}

void recording_builder_destroy(struct recording_builder *builder)
{
    for (size_t i = 0; i < builder->chunks.count; i++)
        free(((struct chunk *)builder->chunks.items[i])->records);
    list_deinit(&builder->chunks);
    list_deinit(&builder->threads);
    list_deinit(&builder->modules);
    list_deinit(&builder->latencies);
    list_deinit(&builder->locks);
    free(builder->depot);
    free(builder);
}

struct malloctap_header *recording_builder_header(struct recording_builder *builder)
{
    return &builder->header;
}

struct malloctap_thread_slot *recording_builder_add_thread(struct recording_builder *builder,
                                                           uint32_t tid, const char *name)
{
    struct malloctap_thread_slot *slot =
        list_add(&builder->threads, sizeof(struct malloctap_thread_slot));
    slot->state = MALLOCTAP_THREAD_LIVE;
    slot->tid = tid;
    slot->thread = builder->threads.count;
    slot->birth_ticks = builder->header.start_ticks;
    snprintf(slot->name, sizeof(slot->name), "%s", name);
    return slot;
}

uint32_t recording_builder_add_module(struct recording_builder *builder, const char *path,
                                      uint64_t start, uint64_t end, uint64_t bias)
{
    struct malloctap_module *module = list_add(&builder->modules, sizeof(*module));
    module->committed = 1;
    module->start = start;
    module->end = end;
    module->bias = bias;
    module->first_ticks = builder->header.start_ticks;
    snprintf(module->path, sizeof(module->path), "%s", path);
    return (uint32_t)builder->modules.count;
}

struct malloctap_module *recording_builder_module(struct recording_builder *builder, uint32_t id)
{
    return builder->modules.items[id - 1];
}

uint32_t recording_builder_add_stack(struct recording_builder *builder, const uint64_t *frames,
                                     uint32_t count, uint32_t flags)
{
    size_t id = builder->depot_words;
    builder->depot_words += 1 + count;
    builder->depot =
        checked(realloc(builder->depot, builder->depot_words * sizeof(*builder->depot)));
    struct malloctap_stack head = {.frame_count = count, .flags = flags};
    memcpy(&builder->depot[id], &head, sizeof(head));
    memcpy(&builder->depot[id + 1], frames, count * sizeof(*frames));
    return (uint32_t)id;
}

uint64_t recording_builder_frame(uint32_t module, uint64_t offset)
{
    return (uint64_t)module << 48 | MALLOCTAP_FRAME_OFFSET(offset);
}

struct malloctap_latency *recording_builder_add_latency(struct recording_builder *builder)
{
    return list_add(&builder->latencies, sizeof(struct malloctap_latency));
}

struct malloctap_lock_row *recording_builder_add_lock(struct recording_builder *builder)
{
    return list_add(&builder->locks, sizeof(struct malloctap_lock_row));
}

/* ---- records ------------------------------------------------------------------------------- */

static struct chunk *newest_chunk(struct recording_builder *builder, uint64_t thread)
{
    for (size_t i = builder->chunks.count; i-- > 0;) {
        struct chunk *chunk = builder->chunks.items[i];
        if (chunk->head.thread == thread)
            return chunk;
    }
    return NULL;
}

static struct chunk *open_chunk(struct recording_builder *builder, uint64_t thread,
                                enum malloctap_chunk_content content, uint64_t ticks)
{
    struct chunk *chunk = list_add(&builder->chunks, sizeof(*chunk));
    chunk->records = checked(calloc(1, builder->header.chunk_size));
    chunk->head.state = MALLOCTAP_CHUNK_OPEN;
    chunk->head.sequence = builder->chunks.count;
    chunk->head.thread = thread;
    chunk->head.content = content;
    chunk->head.first_ticks = chunk->last_ticks = chunk->base.ticks = ticks;
    for (size_t i = 0; i < builder->threads.count; i++) {
        const struct malloctap_thread_slot *slot = builder->threads.items[i];
        if (slot->thread == thread)
            chunk->head.tid = slot->tid;
    }
    return chunk;
}

static void seal(struct chunk *chunk)
{
    chunk->head.state = MALLOCTAP_CHUNK_SEALED;
    chunk->head.last_ticks = chunk->last_ticks;
}

void recording_builder_seal(struct recording_builder *builder, uint64_t thread)
{
    struct chunk *chunk = newest_chunk(builder, thread);
    if (chunk != NULL)
        seal(chunk);
}

/* The thread's newest chunk if `size` bytes more of this content go into it, or a new one. */
static struct chunk *chunk_for(struct recording_builder *builder, uint64_t thread,
                               enum malloctap_chunk_content content, uint64_t ticks, size_t size)
{
    struct chunk *chunk = newest_chunk(builder, thread);
    size_t space = builder->header.chunk_size - sizeof(struct malloctap_chunk);
    if (chunk != NULL && chunk->head.state == MALLOCTAP_CHUNK_OPEN &&
        (chunk->head.committed + size > space || chunk->head.content != content))
        seal(chunk);
    if (chunk == NULL || chunk->head.state == MALLOCTAP_CHUNK_SEALED)
        chunk = open_chunk(builder, thread, content, ticks);
    return chunk;
}

static void append(struct chunk *chunk, const void *bytes, size_t size, uint64_t ticks)
{
    memcpy(chunk->records + chunk->head.committed, bytes, size);
    chunk->head.committed += (uint32_t)size;
    chunk->head.records++;
    if (ticks > chunk->last_ticks)
        chunk->last_ticks = ticks;
}

void recording_builder_add_record(struct recording_builder *builder, uint64_t thread,
                                  const void *record, size_t size)
{
    uint64_t ticks = builder->header.start_ticks;
    if (size >= sizeof(struct malloctap_record) + sizeof(ticks))
        memcpy(&ticks, (const uint8_t *)record + sizeof(struct malloctap_record), sizeof(ticks));
    append(chunk_for(builder, thread, MALLOCTAP_CHUNK_RECORDS, ticks, size), record, size, ticks);
}

void recording_builder_add_call(struct recording_builder *builder, uint64_t thread,
                                const struct recording_builder_call *call)
{
    uint8_t bytes[MALLOCTAP_LOG_EVENT_MAX];
    struct chunk *chunk =
        chunk_for(builder, thread, MALLOCTAP_CHUNK_LOG, call->ticks, sizeof(bytes));
    size_t size = builder_log_encode(call, &chunk->base, bytes);
    append(chunk, bytes, size, call->ticks + call->duration);
}

void recording_builder_add_log(struct recording_builder *builder, uint64_t thread, uint64_t ticks,
                               const void *events, size_t size)
{
    append(chunk_for(builder, thread, MALLOCTAP_CHUNK_LOG, ticks, size), events, size, ticks);
}

static void add_sample(struct recording_builder *builder, uint64_t thread,
                       enum malloctap_record_kind kind, struct malloctap_sample *sample)
{
    sample->head.kind = (uint8_t)kind;
    sample->head.length = sizeof(*sample);
    recording_builder_add_record(builder, thread, sample, sizeof(*sample));
}

void recording_builder_add_alloc(struct recording_builder *builder, uint64_t thread,
                                 struct malloctap_sample sample)
{
    add_sample(builder, thread, MALLOCTAP_RECORD_ALLOC, &sample);
}

void recording_builder_add_free(struct recording_builder *builder, uint64_t thread,
                                struct malloctap_sample sample)
{
    add_sample(builder, thread, MALLOCTAP_RECORD_FREE, &sample);
}

void recording_builder_add_freed(struct recording_builder *builder, uint64_t thread,
                                 struct malloctap_freed freed)
{
    freed.head.kind = MALLOCTAP_RECORD_FREED;
    freed.head.length = sizeof(freed);
    recording_builder_add_record(builder, thread, &freed, sizeof(freed));
}

/* ---- layout -------------------------------------------------------------------------------- */

void recording_builder_split(struct recording_builder *builder, enum malloctap_extent_kind kind,
                             uint64_t size)
{
    builder->extent_size[kind] = size;
}

/* The bytes of one area, padded to whole pages. */
struct area {
    uint8_t *bytes;
    size_t size;
};

static struct area area_of_size(size_t size)
{
    struct area area = {.size = (size + PAGE - 1) / PAGE * PAGE};
    if (area.size > 0)
        area.bytes = checked(calloc(1, area.size));
    return area;
}

static struct area area_of_list(const struct list *list, size_t stride, size_t item_size)
{
    struct area area = area_of_size(list->count * stride);
    for (size_t i = 0; i < list->count; i++)
        memcpy(area.bytes + i * stride, list->items[i], item_size);
    return area;
}

/* Rows follow one another from the start of each extent; none crosses into the next. */
static struct area area_of_latencies(const struct recording_builder *builder)
{
    const struct list *list = &builder->latencies;
    size_t row = sizeof(struct malloctap_latency);
    size_t extent = builder->extent_size[MALLOCTAP_EXTENT_LATENCY];
    if (extent == 0)
        return area_of_list(list, row, row);
    size_t rows = extent / row, extents = (list->count + rows - 1) / rows;
    struct area area = area_of_size(extents * extent);
    for (size_t i = 0; i < list->count; i++)
        memcpy(area.bytes + i / rows * extent + i % rows * row, list->items[i], row);
    return area;
}

static struct area area_of_chunks(const struct recording_builder *builder)
{
    size_t chunk_size = builder->header.chunk_size;
    struct area area = area_of_size(builder->chunks.count * chunk_size);
    for (size_t i = 0; i < builder->chunks.count; i++) {
        const struct chunk *chunk = builder->chunks.items[i];
        memcpy(area.bytes + i * chunk_size, &chunk->head, sizeof(chunk->head));
        memcpy(area.bytes + i * chunk_size + sizeof(chunk->head), chunk->records,
               chunk_size - sizeof(chunk->head));
    }
    return area;
}

static struct area area_of_kind(const struct recording_builder *builder, unsigned kind)
{
    struct area area = {0};
    switch (kind) {
    case MALLOCTAP_EXTENT_THREADS:
        return area_of_list(&builder->threads, MALLOCTAP_THREAD_SLOT_SIZE,
                            sizeof(struct malloctap_thread_slot));
    case MALLOCTAP_EXTENT_MODULES:
        return area_of_list(&builder->modules, sizeof(struct malloctap_module),
                            sizeof(struct malloctap_module));
    case MALLOCTAP_EXTENT_LATENCY:
        return area_of_latencies(builder);
    case MALLOCTAP_EXTENT_LOCKS:
        return area_of_list(&builder->locks, sizeof(struct malloctap_lock_row),
                            sizeof(struct malloctap_lock_row));
    case MALLOCTAP_EXTENT_CHUNKS:
        return area_of_chunks(builder);
    case MALLOCTAP_EXTENT_DEPOT:
        if (builder->depot_words > 1) {
            area = area_of_size(builder->depot_words * sizeof(*builder->depot));
            memcpy(area.bytes, builder->depot, builder->depot_words * sizeof(*builder->depot));
        }
        return area;
    default:
        return area;
    }
}

/* Append an area to the image as extents of at most extent_size[kind] bytes. */
static void lay_out_area(struct recording_builder *builder, uint8_t **image, size_t *size,
                         unsigned kind)
{
    struct area area = area_of_kind(builder, kind);
    size_t limit = builder->extent_size[kind] != 0 ? builder->extent_size[kind] : SIZE_MAX;
    *image = checked(realloc(*image, *size + area.size));
    for (size_t done = 0; done < area.size;) {
        size_t part = area.size - done < limit ? area.size - done : limit;
        if (builder->header.extent_count == MALLOCTAP_EXTENTS_MAX)
            abort();
        builder->header.extents[builder->header.extent_count++] =
            (struct malloctap_extent){.kind = kind, .offset = *size, .size = part};
        memcpy(*image + *size, area.bytes + done, part);
        *size += part;
        done += part;
    }
    free(area.bytes);
}

uint8_t *recording_builder_image(struct recording_builder *builder, size_t *size)
{
    uint8_t *image = checked(calloc(1, MALLOCTAP_HEADER_SIZE));
    *size = MALLOCTAP_HEADER_SIZE;
    builder->header.extent_count = 0;
    memset(builder->header.extents, 0, sizeof(builder->header.extents));
    for (unsigned kind = MALLOCTAP_EXTENT_THREADS; kind < KINDS; kind++)
        lay_out_area(builder, &image, size, kind);
    memcpy(image, &builder->header, sizeof(builder->header));
    return image;
}

int recording_builder_write(struct recording_builder *builder, const char *path)
{
    size_t size;
    uint8_t *image = recording_builder_image(builder, &size);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int result = fd < 0 ? -1 : 0;
    for (size_t done = 0; result == 0 && done < size;) {
        ssize_t written = write(fd, image + done, size - done);
        if (written < 0)
            result = -1;
        else
            done += (size_t)written;
    }
    free(image);
    if (fd >= 0 && close(fd) != 0)
        result = -1;
    return result;
}
