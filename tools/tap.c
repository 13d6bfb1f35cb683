/* SPDX-License-Identifier: MIT */
#include "tap.h"

#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the preload object --------------------------------------------------------------------- */

static bool beside_executable(const char *relative, char *ret, size_t size)
{
    char self[PATH_MAX], path[2 * PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return false;
    self[length] = '\0';
    snprintf(path, sizeof path, "%s/%s", dirname(self), relative);
    char *real = realpath(path, NULL);
    bool found = real && snprintf(ret, size, "%s", real) < (int)size;
    free(real);
    return found;
}

int tap_library_find(char *ret, size_t ret_size, char *message, size_t size)
{
    const char *given = getenv("MALLOCTAP_LIB");
    if (given && *given) {
        char *real = realpath(given, NULL);
        snprintf(ret, ret_size, "%s", real ? real : "");
        free(real);
        if (!*ret) {
            snprintf(message, size, "MALLOCTAP_LIB=%s: no such file; correct it or unset it",
                     given);
            return -1;
        }
    } else if (!beside_executable("../lib/preload/libmalloctap.so", ret, ret_size) &&
               !beside_executable("../" LIBDIR_BELOW_PREFIX "/libmalloctap.so", ret, ret_size)) {
        snprintf(ret, ret_size, "%s", LIBDIR "/libmalloctap.so");
    }
    if (access(ret, R_OK)) {
        snprintf(message, size,
                 "libmalloctap.so is not at %s; install malloctap, or name the library in "
                 "MALLOCTAP_LIB",
                 ret);
        return -1;
    }
    if (!preload_can_carry(ret)) {
        snprintf(message, size,
                 "%s: the path has a space, ':' or '$', which LD_PRELOAD cannot carry; copy the "
                 "library elsewhere and name it in MALLOCTAP_LIB",
                 ret);
        return -1;
    }
    return 0;
}

/* ---- MALLOCTAP= ----------------------------------------------------------------------------- */

struct string {
    char *text;
    size_t length;
};

static void string_add(struct string *string, const char *text)
{
    size_t more = strlen(text);
    string->text = realloc(string->text, string->length + more + 1);
    if (!string->text)
        abort();
    memcpy(string->text + string->length, text, more + 1);
    string->length += more;
}

/* The preload object splits at commas and takes a character behind a backslash as it is. */
static void string_add_escaped(struct string *string, const char *value)
{
    for (char one[3] = ""; *value; value++) {
        snprintf(one, sizeof one, "%s%c", *value == ',' || *value == '\\' ? "\\" : "", *value);
        string_add(string, one);
    }
}

static void option_add(struct string *string, const char *key, const char *value)
{
    if (string->text[string->length - 1] != '=')
        string_add(string, ",");
    string_add(string, key);
    string_add(string, "=");
    string_add_escaped(string, value);
}

void tap_set(struct tap *tap, const char *key, const char *value)
{
    if (tap->setting_count == TAP_SETTINGS_MAX)
        abort();
    tap->settings[tap->setting_count].key = key;
    tap->settings[tap->setting_count++].value = value;
}

void tap_output(const struct tap *tap, pid_t pid, char *ret, size_t size)
{
    if (tap->output_takes_pid)
        snprintf(ret, size, "%s.%d.mtap", tap->output, (int)pid);
    else
        snprintf(ret, size, "%s", tap->output);
}

/* The recording shows the backend as asked for; this much of its name has room there. */
enum { BACKEND_NAME_MAX = 63 };

static char *malloctap_variable(const struct tap *tap, pid_t pid, const char *path)
{
    struct string string = {0};
    char output[PATH_MAX], name[BACKEND_NAME_MAX + 1], speaker[PATH_MAX + 32];
    tap_output(tap, pid, output, sizeof output);
    const char *backend = tap->backend->spec.backend, *slash = strrchr(backend, '/');
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : backend);
    snprintf(speaker, sizeof speaker, "but:%d:%s", (int)pid, path);
    string_add(&string, "MALLOCTAP=");
    option_add(&string, "quiet", speaker); /* first: it is to hold for what is said of the others */
    option_add(&string, "backend", name);
    option_add(&string, "out", output);
    for (size_t i = 0; i < tap->setting_count; i++)
        option_add(&string, tap->settings[i].key, tap->settings[i].value);
    const struct backend_settings *options = &tap->backend->spec.options;
    for (size_t i = 0; i < options->count; i++)
        option_add(&string, options->rows[i].key, options->rows[i].value);
    return string.text;
}

/* ---- the environment ------------------------------------------------------------------------ */

struct environment {
    char **variables;
    size_t count;
};

/* Replaces a variable of the same name, else adds one: the order of the others stays. */
static void environment_put(struct environment *environment, char *variable)
{
    size_t name = strcspn(variable, "=") + 1, i = 0;
    while (i < environment->count && strncmp(environment->variables[i], variable, name) != 0)
        i++;
    environment->variables[i] = variable;
    environment->count += i == environment->count;
}

static char *preload_variable(const struct tap *tap)
{
    const char *parts[] = {tap->library, tap->backend->library, getenv("LD_PRELOAD")};
    struct string string = {0};
    string_add(&string, "LD_PRELOAD=");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i] || !*parts[i])
            continue;
        if (string.text[string.length - 1] != '=')
            string_add(&string, ":");
        string_add(&string, parts[i]);
    }
    return string.text;
}

/* A child built with AddressSanitizer refuses to start behind a preloaded library, unless it is
 * told not to mind; no other program reads this. What the user says comes later, and so prevails.
 */
static char *asan_variable(void)
{
    const char *given = getenv("ASAN_OPTIONS");
    struct string string = {0};
    string_add(&string, "ASAN_OPTIONS=verify_asan_link_order=0");
    if (given && *given) {
        string_add(&string, ":");
        string_add(&string, given);
    }
    return string.text;
}

char **tap_environment(const struct tap *tap, pid_t pid, const char *path)
{
    enum { MORE = BACKEND_SETTINGS_MAX + 4 };
    size_t count = 0;
    while (environ[count])
        count++;
    struct environment environment = {calloc(count + MORE, sizeof(char *)), 0};
    if (!environment.variables)
        abort();
    for (; environment.count < count; environment.count++)
        environment.variables[environment.count] = environ[environment.count];
    const struct backend_settings *settings = &tap->backend->spec.environment;
    for (size_t i = 0; i < settings->count; i++) {
        struct string variable = {0};
        string_add(&variable, settings->rows[i].key);
        string_add(&variable, "=");
        string_add(&variable, settings->rows[i].value);
        environment_put(&environment, variable.text);
    }
    if (*tap->library)
        environment_put(&environment, malloctap_variable(tap, pid, path));
    if (*tap->library || *tap->backend->library) {
        environment_put(&environment, preload_variable(tap));
        environment_put(&environment, asan_variable());
    }
    return environment.variables;
}
