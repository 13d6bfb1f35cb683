/* SPDX-License-Identifier: MIT */
#include "paths.h"

#include "analyze_memory.h"

#include <stdlib.h>
#include <string.h>

void paths_deinit(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->items[i].frames);
    free(paths->items);
    table_deinit(&paths->index_of_hash);
    *paths = (struct paths){0};
}

void path_frames_read(const struct malloctap_recording *recording, struct symbols *symbols,
                      uint32_t stack, struct path_frames *frames)
{
    struct malloctap_frames recorded = {0};
    malloctap_recording_stack(recording, stack, &recorded);
    frames->count = 0;
    frames->truncated = recorded.flags & (MALLOCTAP_STACK_TRUNCATED | MALLOCTAP_STACK_LIMITED);
    for (uint32_t i = 0; i < recorded.count; i++) {
        size_t count;
        const struct symbol_frame *place = symbols_lookup(symbols, recorded.frames[i], &count);
        for (size_t k = 0; k < count; k++) {
            frames->items =
                memory_grow(frames->items, frames->count, &frames->capacity, sizeof *frames->items);
            frames->items[frames->count++] = &place[k];
        }
    }
}

const char *path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* ---- what reads the same --------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = mix(hash, (unsigned char)*text);
    return hash;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* "libx" of /usr/lib/libx.so.1.2; the program itself may have another name in another build. */
struct module_name {
    const char *text;
    size_t length;
};

static struct module_name module_name(const struct paths *paths, const struct symbol_frame *frame)
{
    const char *text = frame->module ? path_basename(frame->module) : "";
    if (paths->programs[1] && !strcmp(text, paths->programs[1]))
        text = paths->programs[0];
    const char *suffix = strstr(text, ".so");
    while (suffix && suffix[3] != '.' && suffix[3] != '\0') /* "x.sorted.so" */
        suffix = strstr(suffix + 1, ".so");
    return (struct module_name){text, suffix ? (size_t)(suffix - text) : strlen(text)};
}

/* Of one recording: equal texts are equal pointers. */
static bool same_line(const struct symbol_frame *a, const struct symbol_frame *b)
{
    return a->function == b->function && a->file == b->file && a->line == b->line &&
           a->inlined == b->inlined && a->module == b->module &&
           (a->function || a->offset == b->offset);
}

static bool same_function(const struct paths *paths, const struct symbol_frame *a,
                          const struct symbol_frame *b)
{
    struct module_name a_name = module_name(paths, a), b_name = module_name(paths, b);
    return same_text(a->function, b->function) && a_name.length == b_name.length &&
           !memcmp(a_name.text, b_name.text, a_name.length) &&
           (a->function || a->offset == b->offset);
}

static bool same_frame(const struct paths *paths, const struct symbol_frame *a,
                       const struct symbol_frame *b)
{
    return a == b || (paths->by == PATHS_BY_LINE ? same_line(a, b) : same_function(paths, a, b));
}

static uint64_t frame_hash(enum paths_by by, uint64_t hash, const struct symbol_frame *frame)
{
    if (!frame->function)
        return mix(hash, frame->offset);
    if (by == PATHS_BY_LINE)
        return mix(hash, (uintptr_t)frame->function ^ (uintptr_t)frame->file * 3 ^ frame->line);
    return mix_text(hash, frame->function);
}

static bool path_is(const struct paths *paths, const struct path *path,
                    const struct symbol_frame *const *frames, size_t count, bool truncated)
{
    if (path->count != count || path->truncated != truncated)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!same_frame(paths, path->frames[i], frames[i]))
            return false;
    return true;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* Paths that share a hash are told apart by the second key, counted up until one fits. */
size_t paths_add(struct paths *paths, const struct path_frames *frames)
{
    size_t count = paths->depth && frames->count > paths->depth ? paths->depth : frames->count;
    bool truncated = frames->truncated && count == frames->count;
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++)
        hash = frame_hash(paths->by, hash, frames->items[i]);
    for (uint64_t attempt = 0;; attempt++) {
        bool inserted;
        uint64_t index =
            *table_insert(&paths->index_of_hash, hash, attempt, paths->count, &inserted);
        if (!inserted) {
            if (path_is(paths, &paths->items[index], frames->items, count, truncated))
                return index;
            continue;
        }
        paths->items =
            memory_grow(paths->items, paths->count, &paths->capacity, sizeof *paths->items);
        struct path *path = &paths->items[paths->count++];
        *path =
            (struct path){.count = count, .hidden = frames->count - count, .truncated = truncated};
        path->frames = memory_zeroed(count, sizeof *path->frames);
        if (count)
            memcpy(path->frames, frames->items, count * sizeof *path->frames);
        return index;
    }
}
