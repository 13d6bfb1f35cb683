/* SPDX-License-Identifier: MIT */
/*
 * emit.h - figures and texts as people and programs read them.
 *
 * Texts from a recording (paths, names, command lines) are any bytes: everything here turns what is
 * not UTF-8 into U+FFFD, and for people also control characters, which could steer a terminal.
 */
#ifndef TOOLS_EMIT_H
#define TOOLS_EMIT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- for people --------------------------------------------------------------------------- */

/* A short text by value, so that it can be used in place: emit_count(n).text. */
struct emit_text {
    char text[48];
};

struct emit_text emit_count(double count);   /* 1,234,567 */
struct emit_text emit_size(double bytes);    /* 512, 1.2K, 34.5M: powers of 1024 */
struct emit_text emit_duration(double ns);   /* 850 ns, 12.3 ms, 1.234 s, 3 min 20 s */
struct emit_text emit_percent(double share); /* of 1: 12.3 % */

/* The same text, printable: to be freed. */
char *emit_printable(const char *text);
void emit_put(FILE *out, const char *text);

/* Escape sequences for a terminal that wants colour (NO_COLOR is not set); empty texts elsewhere.
 */
struct emit_style {
    const char *bold;
    const char *dim;
    const char *plain;
};
struct emit_style emit_style(FILE *out);

/* A table whose columns are as wide as their widest cell. */
struct emit_column {
    const char *title;
    bool left; /* texts; figures stand on the right */
};
struct emit_table;

/* `columns` must outlive the table. */
struct emit_table *emit_table_create(const struct emit_column *columns, size_t count);
void emit_table_cell(struct emit_table *table, const char *text); /* the next one, row by row */
void emit_table_print(const struct emit_table *table, FILE *out);
void emit_table_destroy(struct emit_table *table);

/* ---- for programs ------------------------------------------------------------------------- */

enum emit_format { EMIT_TEXT, EMIT_JSON, EMIT_CSV };

json_object *emit_json_text(const char *text); /* NULL: null */
json_object *emit_json_count(uint64_t count);
json_object *emit_json_number(double number); /* three decimals at most; not finite: null */
json_object *emit_json_share(double share);   /* six digits; not finite: null */

/* Print with a newline, and release. */
void emit_json_print(json_object *object, FILE *out);

/* A line of comma-separated values (RFC 4180). */
struct emit_csv {
    FILE *out;
    bool started; /* a value was written to this line */
};
void emit_csv_text(struct emit_csv *csv, const char *text); /* NULL: empty */
void emit_csv_number(struct emit_csv *csv, double number);  /* not finite: empty */
void emit_csv_share(struct emit_csv *csv, double share);    /* six digits */
void emit_csv_count(struct emit_csv *csv, uint64_t count);
void emit_csv_end(struct emit_csv *csv);

/* ---- the end ------------------------------------------------------------------------------- */

/* Flush. 0; or EXIT_BAD_INPUT after saying why the output is incomplete, in silence where the
 * reader of a pipe has seen enough. */
int emit_finish(FILE *out);

#endif
