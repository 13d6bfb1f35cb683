/* SPDX-License-Identifier: MIT */
/* view_frames.h - call paths as text, JSON and CSV: the same in every view. */
#ifndef TOOLS_VIEW_FRAMES_H
#define TOOLS_VIEW_FRAMES_H

#include "emit.h"
#include "paths.h"

/* A line a frame, indented, innermost first. */
void view_frames_text(const struct path *path, FILE *out);

/* [{"function","file","line","module","offset","inlined"}] */
json_object *view_frames_json(const struct path *path);

/* "inner;outer": functions, or module+offset where they are unknown. */
void view_frames_csv(const struct path *path, struct emit_csv *csv);

/* A function's name, shortened where it is long. */
void view_frames_function(const char *name, FILE *out);

/* Why some frames have no names. */
void view_notes_text(const struct symbols *symbols, FILE *out);
json_object *view_notes_json(const struct symbols *symbols);

#endif
