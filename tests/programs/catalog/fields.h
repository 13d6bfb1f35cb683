/* SPDX-License-Identifier: MIT */
/* fields.h - product lines as text: "key=value;key=value;..." taken apart into a list. */
#ifndef CATALOG_FIELDS_H
#define CATALOG_FIELDS_H

struct field {
    struct field *next;
    char *key;
    char *value;
};

/* The fields of one line in order, to be given to fields_free; NULL when there are none. */
struct field *fields_parse(const char *line);
void fields_free(struct field *first);

/* Value of a key, or "" where the line has no such field. */
const char *fields_get(const struct field *first, const char *key);

#endif
