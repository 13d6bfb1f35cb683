/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static struct field *parse_field(const char *text, size_t length)
{
    struct field *field = malloc(sizeof(*field));
    if (field == NULL)
        abort();
    const char *equals = memchr(text, '=', length);
    size_t key_length = equals != NULL ? (size_t)(equals - text) : length;
    size_t value_at = equals != NULL ? key_length + 1 : length;
    field->next = NULL;
    field->key = copy_text(text, key_length);
    field->value = copy_text(text + value_at, length - value_at);
    return field;
}

struct field *fields_parse(const char *line)
{
    struct field *first = NULL;
    struct field **end = &first;
    while (*line != '\0') {
        size_t length = strcspn(line, ";");
        if (length > 0) {
            *end = parse_field(line, length);
            end = &(*end)->next;
        }
        line += length + (line[length] == ';');
    }
    return first;
}

void fields_free(struct field *first)
{
    while (first != NULL) {
        struct field *next = first->next;
        free(first->key);
        free(first->value);
        free(first);
        first = next;
    }
}

const char *fields_get(const struct field *first, const char *key)
{
    for (; first != NULL; first = first->next)
        if (strcmp(first->key, key) == 0)
            return first->value;
    return "";
}
