/* SPDX-License-Identifier: MIT */
/*
 * symbols.h - from a recorded frame to what a person reads: functions, files and lines.
 *
 * Lazy and cached: a module is opened when one of its frames is first asked for, and each place is
 * looked up once. Everything handed out lives until symbols_destroy(), and equal texts are equal
 * pointers, so frames can be compared without strcmp().
 */
#ifndef ANALYZE_SYMBOLS_H
#define ANALYZE_SYMBOLS_H

#include <malloctap/reader.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

struct symbol_frame {
    const char *function; /* demangled, without parameters; NULL: unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;        /* 0: unknown */
    bool inlined;         /* into the frame that follows */
    const char *module;   /* path; NULL: generated code, `offset` is the plain address */
    uint64_t offset;      /* of the return address, in the module's own numbering */
};

/* `recording` must outlive the result. */
struct symbols *symbols_create(const struct malloctap_recording *recording);
void symbols_destroy(struct symbols *symbols);

/* What one recorded frame stands for: the function, preceded by those inlined into it. Innermost
 * first, never empty. */
const struct symbol_frame *symbols_lookup(struct symbols *symbols, uint64_t frame, size_t *count);

/* Modules whose names could not be had, so far: one line each, "FILE: why; what is shown". */
size_t symbols_notes(const struct symbols *symbols, const char *const **ret);

#endif
