/* SPDX-License-Identifier: MIT */
#include "backend_spec.h"

#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct backend_option {
    const char *backend;
    const char *key;
    uint64_t least;
    uint64_t most;
    const char *meaning;
} backend_options[] = {
#define BACKEND_OPTION(backend, key, least, most, meaning) {#backend, #key, least, most, meaning},
#include "backend_options.def"
#undef BACKEND_OPTION
};

enum { BACKEND_OPTIONS = sizeof backend_options / sizeof *backend_options };

/* The text up to an unescaped comma or the end, unescaped; *text moves behind the comma. */
static char *part_take(const char **text)
{
    char *part = malloc(strlen(*text) + 1), *to = part;
    const char *from = *text;
    if (!part)
        abort();
    for (; *from && *from != ','; from++) {
        if (*from == '\\' && (from[1] == ',' || from[1] == '\\'))
            from++;
        *to++ = *from;
    }
    *to = '\0';
    *text = *from ? from + 1 : NULL;
    return part;
}

static char *copy(const char *text)
{
    char *ret = strdup(text);
    if (!ret)
        abort();
    return ret;
}

static int settings_add(struct backend_settings *settings, const char *key, const char *value)
{
    if (settings->count == BACKEND_SETTINGS_MAX)
        return -1;
    settings->rows[settings->count++] = (struct backend_setting){copy(key), copy(value)};
    return 0;
}

static int option_check(const char *backend, const char *key, const char *value, char *message,
                        size_t size)
{
    size_t used = 0, known = 0;
    for (int i = 0; i < BACKEND_OPTIONS; i++) {
        const struct backend_option *option = &backend_options[i];
        if (strcmp(option->backend, backend) != 0)
            continue;
        known++;
        if (strcmp(option->key, key) != 0)
            continue;
        uint64_t number;
        if (parse_count(value, &number) && number >= option->least && number <= option->most)
            return 0;
        snprintf(message, size, "backend option %s=%s: must be %llu to %llu (%s)", key, value,
                 (unsigned long long)option->least, (unsigned long long)option->most,
                 option->meaning);
        return -1;
    }
    if (!known) {
        snprintf(message, size,
                 "backend %s has no option '%s'; variables of the environment are in capitals",
                 backend, key);
        return -1;
    }
    used = (size_t)snprintf(message, size, "backend %s has no option '%s'; it has", backend, key);
    for (int i = 0; i < BACKEND_OPTIONS && used < size; i++)
        if (strcmp(backend_options[i].backend, backend) == 0)
            used += (size_t)snprintf(message + used, size - used, " %s", backend_options[i].key);
    return -1;
}

static int setting_parse(struct backend_spec *spec, char *part, char *message, size_t size)
{
    char *equals = strchr(part, '=');
    if (!equals || equals == part) {
        snprintf(message, size,
                 "'%s' behind backend %s is not KEY=VALUE (a comma in a value is written \\,)",
                 part, spec->backend);
        return -1;
    }
    *equals = '\0';
    bool lower = part[0] >= 'a' && part[0] <= 'z';
    if (lower && option_check(spec->backend, part, equals + 1, message, size))
        return -1;
    if (strcmp(part, "LD_PRELOAD") == 0 || strcmp(part, "MALLOCTAP") == 0) {
        snprintf(message, size, "%s cannot be set in a backend; name the allocator instead", part);
        return -1;
    }
    if (settings_add(lower ? &spec->options : &spec->environment, part, equals + 1)) {
        snprintf(message, size, "backend %s: more than %d settings", spec->backend,
                 BACKEND_SETTINGS_MAX);
        return -1;
    }
    return 0;
}

/* `[NAME=]BACKEND`; a path may have '=' in it, a name no '/'. */
static void head_parse(struct backend_spec *spec, const char *head, const char *text)
{
    const char *equals = strchr(head, '=');
    if (equals && equals != head && !memchr(head, '/', (size_t)(equals - head))) {
        spec->name = strndup(head, (size_t)(equals - head));
        spec->backend = copy(equals + 1);
    } else {
        spec->name = copy(text);
        spec->backend = copy(head);
    }
    if (!spec->name)
        abort();
}

int backend_spec_parse(const char *text, struct backend_spec *ret, char *message, size_t size)
{
    *ret = (struct backend_spec){0};
    const char *rest = text;
    char *head = part_take(&rest);
    head_parse(ret, head, text);
    free(head);
    int failed = 0;
    if (!*ret->backend) {
        snprintf(message, size, "-b '%s' names no backend; try own, libc or mtmalloc", text);
        failed = -1;
    }
    while (!failed && rest) {
        char *part = part_take(&rest);
        failed = setting_parse(ret, part, message, size);
        free(part);
    }
    if (failed)
        backend_spec_deinit(ret);
    return failed;
}

static void settings_deinit(struct backend_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->rows[i].key);
        free(settings->rows[i].value);
    }
    settings->count = 0;
}

void backend_spec_deinit(struct backend_spec *spec)
{
    free(spec->name);
    free(spec->backend);
    settings_deinit(&spec->options);
    settings_deinit(&spec->environment);
    *spec = (struct backend_spec){0};
}
