/* SPDX-License-Identifier: MIT */
#include "symbols.h"

#include "analyze_memory.h"
#include "object.h"
#include "names.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file that one or more modules of the recording were loaded from. */
struct source {
    const char *path; /* interned */
    uint8_t build_id[32];
    uint32_t build_id_size;
    struct object *object; /* NULL: only offsets can be shown */
};

/* Where the frames of a place start in the block that holds them. */
struct place {
    struct symbol_frame *frames;
    size_t count;
};

struct symbols {
    const struct malloctap_recording *recording;
    struct names names;
    struct table source_of_module; /* module id -> index of its source */
    struct source *sources;
    size_t source_count;
    size_t source_capacity;
    struct table place_of_frame; /* (source, offset) -> index of its place */
    struct place *places;
    size_t place_count;
    size_t place_capacity;
    const char **notes;
    size_t note_count;
    size_t note_capacity;
};

#define NO_SOURCE UINT64_MAX /* generated code */

struct symbols *symbols_create(const struct malloctap_recording *recording)
{
    struct symbols *symbols = memory_zeroed(1, sizeof *symbols);
    symbols->recording = recording;
    return symbols;
}

void symbols_destroy(struct symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i < symbols->place_count; i++)
        free(symbols->places[i].frames);
    for (size_t i = 0; i < symbols->source_count; i++)
        object_close(symbols->sources[i].object);
    free(symbols->places);
    free(symbols->sources);
    free(symbols->notes);
    table_deinit(&symbols->place_of_frame);
    table_deinit(&symbols->source_of_module);
    names_deinit(&symbols->names);
    free(symbols);
}

/* ---- sources --------------------------------------------------------------------------------- */

static void note(struct symbols *symbols, const char *path, const char *why)
{
    char text[1200];
    snprintf(text, sizeof text, "%s %s: its functions are shown as offsets", path, why);
    symbols->notes = memory_grow(symbols->notes, symbols->note_count, &symbols->note_capacity,
                                 sizeof *symbols->notes);
    symbols->notes[symbols->note_count++] = names_intern(&symbols->names, text);
}

size_t symbols_notes(const struct symbols *symbols, const char *const **ret)
{
    *ret = symbols->notes;
    return symbols->note_count;
}

/* An object loaded again, or described twice, is a module of its own but the same file. */
static size_t source_find(const struct symbols *symbols, const struct malloctap_module *module,
                          const char *path)
{
    size_t i = 0;
    for (; i < symbols->source_count; i++) {
        const struct source *source = &symbols->sources[i];
        if (source->path == path && source->build_id_size == module->build_id_size &&
            !memcmp(source->build_id, module->build_id, source->build_id_size))
            break;
    }
    return i;
}

static size_t source_add(struct symbols *symbols, const struct malloctap_module *module,
                         const char *path)
{
    const char *why = NULL;
    struct source source = {.path = path, .build_id_size = module->build_id_size};
    memcpy(source.build_id, module->build_id, sizeof source.build_id);
    if (path[0] == '/' || path[0] == '.') { /* else no file: [vdso] */
        uint64_t recorded_ns = malloctap_recording_header(symbols->recording)->start_realtime_ns;
        source.object = object_open(module, recorded_ns, &why);
        if (!source.object)
            note(symbols, path, why);
    }
    symbols->sources = memory_grow(symbols->sources, symbols->source_count,
                                   &symbols->source_capacity, sizeof *symbols->sources);
    symbols->sources[symbols->source_count] = source;
    return symbols->source_count++;
}

static uint64_t source_of(struct symbols *symbols, uint32_t id)
{
    bool inserted;
    uint64_t *known = table_insert(&symbols->source_of_module, id, 0, NO_SOURCE, &inserted);
    struct malloctap_module module = {.path = "(unknown object)"};
    if (!inserted || id == 0)
        return *known;
    malloctap_recording_module(symbols->recording, id, &module);
    if (module.build_id_size > sizeof module.build_id)
        module.build_id_size = sizeof module.build_id;
    module.path[sizeof module.path - 1] = '\0';
    const char *path = names_intern(&symbols->names, module.path);
    size_t index = source_find(symbols, &module, path);
    if (index == symbols->source_count)
        index = source_add(symbols, &module, path);
    return *known = index;
}

/* ---- places ---------------------------------------------------------------------------------- */

static struct place place_resolve(struct symbols *symbols, const struct source *source,
                                  uint64_t offset)
{
    struct object_frame found[OBJECT_FRAMES_MAX] = {0};
    size_t count = 1;
    /* The call is before the address it returns to, which may be in another function already. */
    if (source && source->object)
        count = object_resolve(source->object, offset - 1, found);
    struct place place = {memory_zeroed(count, sizeof *place.frames), count};
    for (size_t i = 0; i < count; i++)
        place.frames[i] = (struct symbol_frame){
            .function = names_demangle(&symbols->names, found[i].function),
            .file = names_intern(&symbols->names, found[i].file),
            .line = found[i].line,
            .inlined = i + 1 < count,
            .module = source ? source->path : NULL,
            .offset = offset,
        };
    return place;
}

const struct symbol_frame *symbols_lookup(struct symbols *symbols, uint64_t frame, size_t *count)
{
    uint64_t index = source_of(symbols, MALLOCTAP_FRAME_MODULE(frame));
    uint64_t offset = MALLOCTAP_FRAME_OFFSET(frame);
    bool inserted;
    uint64_t place_index =
        *table_insert(&symbols->place_of_frame, index, offset, symbols->place_count, &inserted);
    if (inserted) {
        const struct source *source = index == NO_SOURCE ? NULL : &symbols->sources[index];
        symbols->places = memory_grow(symbols->places, symbols->place_count,
                                      &symbols->place_capacity, sizeof *symbols->places);
        symbols->places[symbols->place_count++] = place_resolve(symbols, source, offset);
    }
    *count = symbols->places[place_index].count;
    return symbols->places[place_index].frames;
}
