/* SPDX-License-Identifier: MIT */
#include "view_log_stacks.h"

#include "analyze_memory.h"
#include "view_frames.h"

#include <fnmatch.h>
#include <stdlib.h>

void view_log_stacks_init(struct view_log_stacks *stacks,
                          const struct malloctap_recording *recording, const char *function,
                          enum emit_format format)
{
    *stacks = (struct view_log_stacks){.recording = recording,
                                       .function = function,
                                       .format = format,
                                       .symbols = symbols_create(recording)};
}

void view_log_stacks_deinit(struct view_log_stacks *stacks)
{
    for (size_t i = 0; i < stacks->count; i++)
        free(stacks->items[i].text);
    free(stacks->items);
    free(stacks->frames.items);
    table_deinit(&stacks->index_of_id);
    symbols_destroy(stacks->symbols);
}

static bool matches(const struct view_log_stacks *stacks)
{
    for (size_t i = 0; stacks->function && i < stacks->frames.count; i++) {
        const char *function = stacks->frames.items[i]->function;
        if (function && fnmatch(stacks->function, function, 0) == 0)
            return true;
    }
    return !stacks->function;
}

static char *render(const struct view_log_stacks *stacks)
{
    const struct path path = {.frames = stacks->frames.items,
                              .count = stacks->frames.count,
                              .truncated = stacks->frames.truncated};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return memory_copy_text("");
    struct emit_csv csv = {out, false};
    json_object *frames;
    switch (stacks->format) {
    case EMIT_TEXT:
        view_frames_text(&path, out);
        break;
    case EMIT_JSON:
        frames = view_frames_json(&path);
        fputs(json_object_to_json_string_ext(frames, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE),
              out);
        json_object_put(frames);
        break;
    case EMIT_CSV:
        view_frames_csv(&path, &csv);
        break;
    }
    fclose(out);
    return text;
}

const struct view_log_stack *view_log_stacks_get(struct view_log_stacks *stacks, uint32_t id)
{
    bool inserted;
    uint64_t index = *table_insert(&stacks->index_of_id, id, 0, stacks->count, &inserted);
    if (inserted) {
        path_frames_read(stacks->recording, stacks->symbols, id, &stacks->frames);
        stacks->items =
            memory_grow(stacks->items, stacks->count, &stacks->capacity, sizeof *stacks->items);
        stacks->items[stacks->count++] =
            (struct view_log_stack){.matches = matches(stacks), .text = render(stacks)};
    }
    return &stacks->items[index];
}
