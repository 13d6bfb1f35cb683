/* SPDX-License-Identifier: MIT */
/* reader_tables.c - the areas that are plain arrays: loaded modules, allocator locks. */
#include "reader_recording.h"

#include <string.h>

#define MODULE_ID_MAX UINT16_MAX /* what a frame has room for */
#define MODULES_AT_ONCE 16u

bool malloctap_recording_module(const struct malloctap_recording *recording, uint32_t id,
                                struct malloctap_module *ret)
{
    uint32_t committed;
    uint64_t offset = (uint64_t)(id - 1) * sizeof(*ret);
    if (id == 0 || id > MODULE_ID_MAX ||
        !reader_area_read(recording, MALLOCTAP_EXTENT_MODULES, offset, &committed,
                          sizeof(committed)) ||
        committed != 1)
        return false;
    reader_file_order(); /* `committed` is stored last, with release */
    if (!reader_area_read(recording, MALLOCTAP_EXTENT_MODULES, offset, ret, sizeof(*ret)))
        return false;
    ret->path[sizeof(ret->path) - 1] = '\0';
    if (ret->build_id_size > sizeof(ret->build_id))
        ret->build_id_size = 0;
    return true;
}

uint32_t malloctap_recording_module_count(const struct malloctap_recording *recording)
{
    struct malloctap_module modules[MODULES_AT_ONCE];
    uint64_t capacity = reader_area_size(recording, MALLOCTAP_EXTENT_MODULES) / sizeof(*modules);
    if (capacity > MODULE_ID_MAX)
        capacity = MODULE_ID_MAX;
    uint32_t last = 0;
    for (uint32_t first = 0; first < capacity; first += MODULES_AT_ONCE) {
        uint32_t count = (uint32_t)capacity - first;
        if (count > MODULES_AT_ONCE)
            count = MODULES_AT_ONCE;
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_MODULES,
                              (uint64_t)first * sizeof(*modules), modules,
                              count * sizeof(*modules)))
            break;
        for (uint32_t i = 0; i < count; i++) {
            if (modules[i].committed == 1)
                last = first + i + 1;
        }
    }
    return last;
}

bool malloctap_recording_next_lock(const struct malloctap_recording *recording, uint64_t *position,
                                   struct malloctap_lock_row *ret)
{
    uint64_t count = reader_area_size(recording, MALLOCTAP_EXTENT_LOCKS) / sizeof(*ret);
    while (*position < count) {
        uint32_t kind;
        uint64_t offset = (*position)++ * sizeof(*ret);
        if (!reader_area_read(recording, MALLOCTAP_EXTENT_LOCKS, offset, &kind, sizeof(kind)))
            return false;
        reader_file_order(); /* `kind` is stored last, with release */
        if (kind != 0 &&
            reader_area_read(recording, MALLOCTAP_EXTENT_LOCKS, offset, ret, sizeof(*ret)))
            return true;
    }
    return false;
}
