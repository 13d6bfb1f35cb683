/* SPDX-License-Identifier: MIT */
#include "view_frames.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

/*
 * The name of an instance of a template can take several lines and drown the path. Where it is
 * long, what is between the outermost angle brackets becomes "...": std::map<...>::emplace<...>. Of
 * a name that begins with a bracket, Rust's <T as Trait>::method, those inside of that one.
 */
void view_frames_function(const char *name, FILE *out)
{
    enum { LONG = 80 };
    if (strlen(name) <= LONG) {
        emit_put(out, name);
        return;
    }
    char *printable = emit_printable(name);
    int depth = 0, kept = name[0] == '<';
    for (const char *at = printable; *at; at++) {
        static const char named[] = "operator"; /* whose brackets are no brackets */
        const size_t length = sizeof named - 1;
        if (!strncmp(at, named, length) && strchr("<>-", at[length]) && at[length]) {
            size_t end = length + strspn(at + length, "<>=-");
            if (depth <= kept)
                fprintf(out, "%.*s", (int)end, at);
            at += end - 1;
            continue;
        }
        bool arrow = *at == '>' && at > printable && at[-1] == '-'; /* fn() -> T */
        if (*at == '>' && !arrow && depth > 0)
            depth--;
        if (depth <= kept)
            fputc(*at, out);
        if (*at == '<' && ++depth == kept + 1)
            fputs("...", out);
    }
    free(printable);
}

static void print_place(const struct symbol_frame *frame, struct emit_style style, FILE *out)
{
    char offset[24];
    snprintf(offset, sizeof offset, "%s0x%" PRIx64, frame->module ? "+" : "", frame->offset);
    if (frame->function) {
        view_frames_function(frame->function, out);
        fputs(style.dim, out);
        fputs("  ", out);
        emit_put(out, path_basename(frame->file ? frame->file : frame->module));
        if (frame->file && frame->line)
            fprintf(out, ":%" PRIu32, frame->line);
        fputs(frame->inlined ? " (inlined)" : "", out);
    } else {
        emit_put(out, frame->module ? path_basename(frame->module) : "");
        fputs(offset, out);
        fputs(style.dim, out);
        if (frame->file) {
            fputs("  ", out);
            emit_put(out, path_basename(frame->file));
            fprintf(out, ":%" PRIu32, frame->line);
        }
    }
    fputs(style.plain, out);
}

void view_frames_text(const struct path *path, FILE *out)
{
    struct emit_style style = emit_style(out);
    for (size_t i = 0; i < path->count; i++) {
        fputs("        ", out);
        print_place(path->frames[i], style, out);
        fputc('\n', out);
    }
    if (!path->count)
        fputs("        (no stack was recorded)\n", out);
    else if (path->hidden)
        fprintf(out, "        (%zu more)\n", path->hidden);
    else if (path->truncated)
        fputs("        (cut short here)\n", out);
}

/* ---- data ------------------------------------------------------------------------------------ */

static json_object *frame_json(const struct symbol_frame *frame)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "function", emit_json_text(frame->function));
    json_object_object_add(object, "file", emit_json_text(frame->file));
    json_object_object_add(object, "line", frame->line ? emit_json_count(frame->line) : NULL);
    json_object_object_add(object, "module", emit_json_text(frame->module));
    json_object_object_add(object, "offset", emit_json_count(frame->offset));
    json_object_object_add(object, "inlined", json_object_new_boolean(frame->inlined));
    return object;
}

json_object *view_frames_json(const struct path *path)
{
    json_object *frames = json_object_new_array();
    for (size_t i = 0; i < path->count; i++)
        json_object_array_add(frames, frame_json(path->frames[i]));
    return frames;
}

void view_frames_csv(const struct path *path, struct emit_csv *csv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; out && i < path->count; i++) {
        const struct symbol_frame *frame = path->frames[i];
        fputs(i ? ";" : "", out);
        if (frame->function)
            fputs(frame->function, out);
        else
            fprintf(out, "%s%s0x%" PRIx64, frame->module ? path_basename(frame->module) : "",
                    frame->module ? "+" : "", frame->offset);
    }
    if (out)
        fclose(out);
    emit_csv_text(csv, text);
    free(text);
}

/* ---- notes ----------------------------------------------------------------------------------- */

void view_notes_text(const struct symbols *symbols, FILE *out)
{
    const char *const *notes;
    size_t count = symbols_notes(symbols, &notes);
    for (size_t i = 0; i < count; i++) {
        fputs("note: ", out);
        emit_put(out, notes[i]);
        fputc('\n', out);
    }
}

json_object *view_notes_json(const struct symbols *symbols)
{
    json_object *array = json_object_new_array();
    const char *const *notes;
    size_t count = symbols_notes(symbols, &notes);
    for (size_t i = 0; i < count; i++)
        json_object_array_add(array, emit_json_text(notes[i]));
    return array;
}
