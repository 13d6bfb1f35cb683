/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include "analyze_memory.h"
#include "emit_utf8.h"

#include <stdlib.h>

struct emit_table {
    const struct emit_column *columns;
    size_t column_count;
    char **cells; /* row after row */
    size_t cell_count;
    size_t capacity;
};

struct emit_table *emit_table_create(const struct emit_column *columns, size_t count)
{
    struct emit_table *table = memory_zeroed(1, sizeof *table);
    table->columns = columns;
    table->column_count = count;
    return table;
}

void emit_table_destroy(struct emit_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void emit_table_cell(struct emit_table *table, const char *text)
{
    table->cells =
        memory_grow(table->cells, table->cell_count, &table->capacity, sizeof *table->cells);
    table->cells[table->cell_count++] = emit_printable(text);
}

static size_t column_width(const struct emit_table *table, size_t column)
{
    size_t width = utf8_width(table->columns[column].title);
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t cell = utf8_width(table->cells[i]);
        width = cell > width ? cell : width;
    }
    return width;
}

static void print_cell(const struct emit_table *table, size_t column, size_t width,
                       const char *text, FILE *out)
{
    int padding = (int)(width - utf8_width(text));
    bool left = table->columns[column].left, last = column + 1 == table->column_count;
    fprintf(out, "%*s%s%*s", left ? 0 : padding, "", text, left && !last ? padding : 0, "");
    fputs(last ? "\n" : "  ", out);
}

void emit_table_print(const struct emit_table *table, FILE *out)
{
    struct emit_style style = emit_style(out);
    size_t *widths = memory_zeroed(table->column_count, sizeof *widths);
    fputs(style.bold, out);
    for (size_t i = 0; i < table->column_count; i++) {
        widths[i] = column_width(table, i);
        print_cell(table, i, widths[i], table->columns[i].title, out);
    }
    fputs(style.plain, out);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % table->column_count;
        print_cell(table, column, widths[column], table->cells[i], out);
    }
    free(widths);
}
