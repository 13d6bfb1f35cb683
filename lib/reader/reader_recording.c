/* SPDX-License-Identifier: MIT */
#include "reader_chunk.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int malloctap_recording_open(const char *path, struct malloctap_recording **ret,
                             struct malloctap_error *error)
{
    struct malloctap_recording *recording = calloc(1, sizeof(*recording));
    struct reader_depot *depot = reader_depot_create();
    if (recording == NULL || depot == NULL) {
        reader_error_set(error, path, "out of memory; close other programs");
        goto free_recording;
    }
    recording->depot = depot;
    if (reader_file_open(path, &recording->file, error) != 0)
        goto free_recording;
    if (reader_header_read(recording->file, &recording->header, error) != 0)
        goto close_file;
    reader_layout_init(&recording->layout, &recording->header);
    *ret = recording;
    return 0;

close_file:
    reader_file_close(recording->file);
free_recording:
    reader_depot_destroy(depot);
    free(recording);
    return -1;
}

void malloctap_recording_close(struct malloctap_recording *recording)
{
    if (recording == NULL)
        return;
    reader_file_close(recording->file);
    reader_depot_destroy(recording->depot);
    free(recording);
}

/* What was handed out by offset (stacks, positions) must go on meaning the same. */
static bool continues(const struct malloctap_recording *recording,
                      const struct malloctap_header *header, const struct reader_layout *layout)
{
    const struct malloctap_header *old = &recording->header;
    if (header->pid != old->pid || header->start_ticks != old->start_ticks ||
        header->chunk_size != old->chunk_size || header->clock_mult != old->clock_mult ||
        header->clock_shift != old->clock_shift)
        return false;
    for (size_t kind = 0; kind < READER_KINDS; kind++) {
        const struct reader_area *before = &recording->layout.areas[kind];
        const struct reader_area *now = &layout->areas[kind];
        if (now->count < before->count ||
            memcmp(now->extents, before->extents, before->count * sizeof(*before->extents)) != 0)
            return false;
    }
    return true;
}

int malloctap_recording_refresh(struct malloctap_recording *recording,
                                struct malloctap_error *error)
{
    struct malloctap_header header;
    struct reader_layout layout;
    if (reader_header_read(recording->file, &header, error) != 0)
        return -1;
    reader_layout_init(&layout, &header);
    if (!continues(recording, &header, &layout)) {
        return reader_error_set(error, recording->file->path,
                                "overwritten while it was read (header at offset 0 changed); open "
                                "it again");
    }
    recording->header = header;
    recording->last_ticks = 0;
    reader_layout_init(&recording->layout, &recording->header);
    return 0;
}

int malloctap_recording_check(const struct malloctap_recording *recording,
                              struct malloctap_error *error)
{
    if (!recording->file->failed)
        return 0;
    if (error != NULL)
        *error = recording->file->failure;
    return -1;
}

const struct malloctap_header *
malloctap_recording_header(const struct malloctap_recording *recording)
{
    return &recording->header;
}

const char *malloctap_recording_path(const struct malloctap_recording *recording)
{
    return recording->file->path;
}

int64_t malloctap_recording_bytes(const struct malloctap_recording *recording, uint64_t offset,
                                  void *buffer, size_t size)
{
    uint64_t end;
    if (!reader_file_size(recording->file, &end))
        return -1;
    if (offset >= end)
        return 0;
    if (size > end - offset)
        size = (size_t)(end - offset);
    return reader_file_read(recording->file, offset, buffer, size) ? (int64_t)size : -1;
}

/* ---- areas --------------------------------------------------------------------------------- */

uint64_t reader_area_size(const struct malloctap_recording *recording,
                          enum malloctap_extent_kind kind)
{
    return recording->layout.areas[kind].size;
}

/* The extent that holds this offset of the area. */
static const struct reader_extent *find_extent(const struct reader_area *area, uint64_t offset)
{
    size_t low = 0, high = area->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (area->extents[middle].area_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return &area->extents[low];
}

bool reader_area_read(const struct malloctap_recording *recording, enum malloctap_extent_kind kind,
                      uint64_t offset, void *buffer, size_t size)
{
    const struct reader_area *area = &recording->layout.areas[kind];
    if (offset > area->size || size > area->size - offset)
        return false;
    for (size_t done = 0; done < size;) {
        const struct reader_extent *extent = find_extent(area, offset + done);
        uint64_t skip = offset + done - extent->area_offset;
        uint64_t part = extent->size - skip < size - done ? extent->size - skip : size - done;
        if (!reader_file_read(recording->file, extent->file_offset + skip, (char *)buffer + done,
                              (size_t)part))
            return false;
        done += (size_t)part;
    }
    return true;
}

/* ---- time ---------------------------------------------------------------------------------- */

uint64_t malloctap_recording_ns(const struct malloctap_recording *recording, uint64_t ticks)
{
    const struct malloctap_header *header = &recording->header;
    if (ticks <= header->start_ticks)
        return 0;
    unsigned __int128 ns = (unsigned __int128)(ticks - header->start_ticks) * header->clock_mult >>
                           header->clock_shift;
    return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

uint64_t malloctap_recording_ticks(const struct malloctap_recording *recording, uint64_t ns)
{
    const struct malloctap_header *header = &recording->header;
    unsigned __int128 scaled = (unsigned __int128)ns << header->clock_shift;
    unsigned __int128 ticks = scaled / header->clock_mult + (scaled % header->clock_mult != 0);
    return ticks > UINT64_MAX - header->start_ticks ? UINT64_MAX
                                                    : header->start_ticks + (uint64_t)ticks;
}

uint64_t malloctap_recording_last_tick(const struct malloctap_recording *recording, uint64_t ns)
{
    uint64_t next = ns == UINT64_MAX ? ns : malloctap_recording_ticks(recording, ns + 1);
    return next == UINT64_MAX ? next : next - 1;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The latest time written anywhere: births and deaths of threads, modules, records. */
static uint64_t last_ticks(struct malloctap_recording *recording)
{
    uint64_t last = recording->header.start_ticks;
    struct malloctap_thread_slot slot;
    for (uint64_t position = 0; malloctap_recording_next_thread(recording, &position, &slot);)
        last = later(last, later(slot.birth_ticks, slot.death_ticks));

    struct malloctap_module module;
    uint32_t modules = malloctap_recording_module_count(recording);
    for (uint32_t id = 1; id <= modules; id++) {
        if (malloctap_recording_module(recording, id, &module))
            last = later(last, module.first_ticks);
    }

    return later(last, reader_last_record_ticks(recording));
}

uint64_t malloctap_recording_duration_ns(struct malloctap_recording *recording)
{
    const struct malloctap_header *header = &recording->header;
    if (header->state == MALLOCTAP_STATE_FINISHED)
        return malloctap_recording_ns(recording, header->end_ticks);
    if (!reader_writer_alive(recording)) {
        if (recording->last_ticks == 0)
            recording->last_ticks = later(last_ticks(recording), header->end_ticks);
        return malloctap_recording_ns(recording, recording->last_ticks);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return now_ns > header->start_realtime_ns ? now_ns - header->start_realtime_ns : 0;
}

bool malloctap_recording_orphaned(const struct malloctap_recording *recording)
{
    return recording->header.state != MALLOCTAP_STATE_FINISHED && !reader_writer_alive(recording);
}

bool malloctap_recording_switched(const struct malloctap_recording *recording)
{
    const struct malloctap_header *header = &recording->header;
    return header->control.generation && header->control.modes != 1u << header->mode;
}
