/* SPDX-License-Identifier: MIT */
#include "suppressions.h"

#include "analyze_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void suppressions_deinit(struct suppressions *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->patterns[i]);
    free(list->patterns);
    *list = (struct suppressions){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

struct line {
    const char *start;
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct line trimmed(struct line line)
{
    while (line.start < line.end && is_blank(*line.start))
        line.start++;
    while (line.start < line.end && is_blank(line.end[-1]))
        line.end--;
    return line;
}

static void add_pattern(struct suppressions *list, struct line pattern)
{
    size_t length = (size_t)(pattern.end - pattern.start);
    char *copy = memory_zeroed(length + 1, 1);
    memcpy(copy, pattern.start, length);
    list->patterns =
        memory_grow(list->patterns, list->count, &list->capacity, sizeof *list->patterns);
    list->patterns[list->count++] = copy;
}

/* NULL, or what is wrong with the line. */
static const char *add_line(struct suppressions *list, struct line line)
{
    static const char leak[] = "leak:";
    const size_t prefix = sizeof leak - 1;
    line = trimmed(line);
    if (line.start == line.end || *line.start == '#')
        return NULL;
    if ((size_t)(line.end - line.start) < prefix || memcmp(line.start, leak, prefix) != 0)
        return "is not 'leak:PATTERN' or a comment";
    line.start += prefix;
    line = trimmed(line);
    if (line.start == line.end)
        return "has no pattern after 'leak:'";
    if (memchr(line.start, '\0', (size_t)(line.end - line.start)))
        return "has a zero byte in it; is this a text file?";
    add_pattern(list, line);
    return NULL;
}

int suppressions_parse(struct suppressions *list, const char *name, const char *text, size_t size,
                       struct malloctap_error *error)
{
    const char *end = text + size;
    size_t number = 0;
    for (const char *at = text; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        const char *wrong = add_line(list, (struct line){at, stop});
        number++;
        if (wrong) {
            snprintf(error->text, sizeof error->text, "%.300s: line %zu %s", name, number, wrong);
            return -1;
        }
        at = newline ? newline + 1 : end;
    }
    return 0;
}

/* The whole of a file, which may be a pipe. NULL with errno set. */
static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t capacity = 0;
    *size = 0;
    if (!file)
        return NULL;
    for (int c; (c = getc(file)) != EOF;) {
        text = memory_grow(text, *size, &capacity, 1);
        text[(*size)++] = (char)c;
    }
    int wrong = ferror(file) ? errno : 0;
    fclose(file);
    if (wrong) {
        free(text);
        errno = wrong;
        return NULL;
    }
    return text ? text : memory_zeroed(1, 1);
}

int suppressions_read(struct suppressions *list, const char *path, struct malloctap_error *error)
{
    size_t size;
    char *text = read_whole(path, &size);
    if (!text) {
        snprintf(error->text, sizeof error->text, "%.300s: %s", path, strerror(errno));
        return -1;
    }
    int status = suppressions_parse(list, path, text, size, error);
    free(text);
    return status;
}

/* ---- matching -------------------------------------------------------------------------------- */

/*
 * Where a text does not fit, what stands for anything (a *, or that the pattern may begin anywhere)
 * takes one character more. Only the latest such place needs another try: what came before it was
 * found at its earliest possible place. So a match takes at most the product of both lengths.
 */
bool suppression_matches(const char *pattern, const char *text)
{
    const char *end = pattern + strlen(pattern), *retry = text;
    if (!text)
        return false;
    bool from_start = *pattern == '^';
    pattern += from_start;
    bool to_end = pattern < end && end[-1] == '$';
    end -= to_end;
    const char *anything = from_start ? NULL : pattern; /* what follows it */
    for (;;) {
        if (pattern == end && (!to_end || !*text)) {
            return true;
        } else if (pattern < end && *pattern == '*') {
            anything = ++pattern;
            retry = text;
        } else if (*text && pattern < end && *pattern == *text) {
            pattern++;
            text++;
        } else if (anything && *retry) {
            pattern = anything;
            text = ++retry;
        } else {
            return false;
        }
    }
}

static bool matches_frame(const char *pattern, const struct symbol_frame *frame)
{
    return suppression_matches(pattern, frame->function) ||
           suppression_matches(pattern, frame->file) || suppression_matches(pattern, frame->module);
}

size_t suppressions_find(const struct suppressions *list, const struct path_frames *frames)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < frames->count; k++)
            if (matches_frame(list->patterns[i], frames->items[k]))
                return i;
    return SUPPRESSIONS_NONE;
}
