/* SPDX-License-Identifier: MIT */
#include "printed.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct output output_begin(void)
{
    return (struct output){.file = tmpfile()};
}

/* A real file, since styles depend on the descriptor. */
void output_end(struct output *output)
{
    long size = ftell(output->file);
    output->text = calloc(1, (size_t)size + 1);
    rewind(output->file);
    output->size = fread(output->text, 1, (size_t)size, output->file);
    fclose(output->file);
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 16);
    if (file) {
        text[fread(text, 1, (1 << 16) - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

/* JSON as this json-c lays it out: versions differ in where they break lines. */
static void json_lay_out(char **text)
{
    json_object *object = json_tokener_parse(*text);
    assert_non_null(object);
    free(*text);
    *text = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
    json_object_put(object);
}

void assert_golden(struct output *output, const char *name)
{
    char path[4096];
    output_end(output);
    snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    if (getenv("VIEWS_GOLDEN_WRITE")) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fwrite(output->text, 1, output->size, file);
        fclose(file);
    }
    char *expected = read_whole(path);
    if (strstr(name, ".json")) {
        json_lay_out(&output->text);
        json_lay_out(&expected);
    }
    if (strcmp(output->text, expected))
        fail_msg("%s differs; printed:\n%s", name, output->text);
    free(expected);
    free(output->text);
}
