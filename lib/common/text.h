/* SPDX-License-Identifier: MIT */
/* text.h - building short strings in a fixed buffer, without stdio. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Invariant: length < size and to[length] == '\0'. What does not fit is cut, and `cut` says so. */
struct text {
    char *to;
    size_t size;
    size_t length;
    bool cut;
};

static inline struct text text_begin(char *to, size_t size)
{
    to[0] = '\0';
    return (struct text){.to = to, .size = size};
}

static inline void text_add_bytes(struct text *text, const char *from, size_t count)
{
    size_t room = text->size - 1 - text->length;
    if (count > room) {
        count = room;
        text->cut = true;
    }
    memcpy(text->to + text->length, from, count);
    text->length += count;
    text->to[text->length] = '\0';
}

static inline void text_add(struct text *text, const char *from)
{
    text_add_bytes(text, from, strlen(from));
}

static inline void text_add_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    text_add_bytes(text, digits + at, sizeof digits - at);
}

static inline const char *text_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

#endif
