/* SPDX-License-Identifier: MIT */
/*
 * Stacks never change once they are written, so each is read once and kept: an open-addressing
 * table from its id to a copy. Stacks do not share bytes, so all copies together are no larger than
 * the DEPOT area; a damaged file whose stacks overlap is held to that too.
 */
#include "reader_recording.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_SIZE_MIN 256u /* entries; a power of two */

struct entry {
    uint32_t id; /* 0: free */
    struct malloctap_stack *stack;
};

struct reader_depot {
    struct entry *entries;
    size_t capacity;
    size_t count;
    uint64_t bytes; /* of all stacks kept */
};

struct reader_depot *reader_depot_create(void)
{
    struct reader_depot *depot = calloc(1, sizeof(*depot));
    if (depot == NULL)
        return NULL;
    depot->capacity = TABLE_SIZE_MIN;
    depot->entries = calloc(depot->capacity, sizeof(*depot->entries));
    if (depot->entries == NULL) {
        free(depot);
        return NULL;
    }
    return depot;
}

void reader_depot_destroy(struct reader_depot *depot)
{
    if (depot == NULL)
        return;
    for (size_t i = 0; i < depot->capacity; i++)
        free(depot->entries[i].stack);
    free(depot->entries);
    free(depot);
}

/* The entry of this id, or the free one where it belongs. The table is never full. */
static struct entry *find(struct entry *entries, size_t capacity, uint32_t id)
{
    size_t i = id * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (capacity - 1);
    while (entries[i].id != 0 && entries[i].id != id)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

static bool grow(struct reader_depot *depot)
{
    size_t capacity = depot->capacity * 2;
    struct entry *entries = calloc(capacity, sizeof(*entries));
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < depot->capacity; i++) {
        if (depot->entries[i].id != 0)
            *find(entries, capacity, depot->entries[i].id) = depot->entries[i];
    }
    free(depot->entries);
    depot->entries = entries;
    depot->capacity = capacity;
    return true;
}

/* Read a stack that is there and lies within the area. */
static struct malloctap_stack *read_stack(const struct malloctap_recording *recording, uint32_t id)
{
    struct malloctap_stack head;
    uint64_t offset = (uint64_t)id * 8;
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_DEPOT, offset, &head, sizeof(head)))
        return NULL;
    if (head.frame_count == 0 || head.frame_count > MALLOCTAP_STACK_FRAMES_MAX)
        return NULL;
    reader_file_order(); /* frame_count is stored last, with release */
    size_t size = sizeof(head) + head.frame_count * sizeof(uint64_t);
    if (recording->depot->bytes + size > reader_area_size(recording, MALLOCTAP_EXTENT_DEPOT))
        return NULL;
    struct malloctap_stack *stack = malloc(size);
    if (stack == NULL) {
        reader_file_fail(recording->file, "out of memory for its call stacks; close other "
                                          "programs");
        return NULL;
    }
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_DEPOT, offset, stack, size)) {
        free(stack);
        return NULL;
    }
    stack->frame_count = head.frame_count; /* what `size` was made for */
    recording->depot->bytes += size;
    return stack;
}

bool malloctap_recording_stack(const struct malloctap_recording *recording, uint32_t id,
                               struct malloctap_frames *ret)
{
    struct reader_depot *depot = recording->depot;
    if (id == 0)
        return false;
    struct entry *entry = find(depot->entries, depot->capacity, id);
    if (entry->id == 0) {
        if (depot->count * 2 >= depot->capacity) {
            if (!grow(depot))
                return false;
            entry = find(depot->entries, depot->capacity, id);
        }
        struct malloctap_stack *stack = read_stack(recording, id);
        if (stack == NULL)
            return false;
        *entry = (struct entry){.id = id, .stack = stack};
        depot->count++;
    }
    *ret = (struct malloctap_frames){.frames = entry->stack->frames,
                                     .count = entry->stack->frame_count,
                                     .flags = entry->stack->flags};
    return true;
}
