/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <compiler.h>
#include <sys.h>
#include <text.h>

#include <stdarg.h>
#include <sys/auxv.h>

/* A sample with its probe takes 1.2 us in a loop, and more where it finds the caches cold. */
#define DEFAULT_CALLS 4096u
#define DEFAULT_BYTES (512u << 10)

/* A chunk that is full is let go of, which interrupts the other processors on which the program
 * runs: the rarer in a log, the better. Where few would do, they are kept small. */
#define CHUNK (16u << 10)
#define LOG_CHUNK (32u << 10)
#define LONG_RING (16u << 20)

struct config config;

void config_say(const char *part, ...)
{
    if (config.quiet)
        return;
    char line[1024];
    struct text text = text_begin(line, sizeof line - 1);
    text_add(&text, "malloctap: ");
    va_list parts;
    va_start(parts, part);
    for (; part != NULL; part = va_arg(parts, const char *))
        text_add(&text, part);
    va_end(parts);
    line[text.length++] = '\n';
    sys_write_unsignalled(STDERR_FILENO, line, text.length);
}

static bool parse_text(char *to, size_t size, const char *value)
{
    struct text text = text_begin(to, size);
    text_add(&text, value);
    return !text.cut;
}

static bool parse_digits(const char **at, uint64_t *ret)
{
    const char *start = *at;
    uint64_t number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(**at - '0'), &number))
            return false;
    *ret = number;
    return *at != start;
}

static bool parse_number(uint64_t *to, const char *value)
{
    uint64_t number;
    if (!parse_digits(&value, &number) || *value != '\0')
        return false;
    *to = number;
    return true;
}

static bool parse_size(uint64_t *to, const char *value)
{
    uint64_t number;
    if (!parse_digits(&value, &number))
        return false;
    unsigned shift = 0;
    switch (*value) {
    case 'k':
    case 'K':
        shift = 10;
        break;
    case 'm':
    case 'M':
        shift = 20;
        break;
    case 'g':
    case 'G':
        shift = 30;
        break;
    }
    if (shift)
        value++;
    if (*value != '\0' || number > UINT64_MAX >> shift)
        return false;
    *to = number << shift;
    return true;
}

#define RING_AUTO UINT64_MAX

static bool parse_ring(uint64_t *to, const char *value)
{
    if (strcmp(value, "auto") != 0)
        return parse_size(to, value);
    *to = RING_AUTO;
    return true;
}

static bool parse_flag(bool *to, const char *value)
{
    bool on = !strcmp(value, "on") || !strcmp(value, "1") || !strcmp(value, "yes");
    bool off = !strcmp(value, "off") || !strcmp(value, "0") || !strcmp(value, "no");
    if (on || off)
        *to = on;
    return on || off;
}

/* Who runs a program wants to be told by it, and not by what it starts: whose standard error that
 * is, nobody knows. */
static bool parse_silence(bool *to, const char *value)
{
    const char but[] = "but:";
    uint64_t pid;
    if (strncmp(value, but, sizeof but - 1) != 0)
        return parse_flag(to, value);
    value += sizeof but - 1;
    if (!parse_digits(&value, &pid) || *value != ':')
        return false;
    const char *path = (const char *)getauxval(AT_EXECFN);
    *to = pid != (uint64_t)syscall(SYS_getpid) || path == NULL || strcmp(path, value + 1) != 0;
    return true;
}

static bool parse_mode(enum malloctap_mode *to, const char *value)
{
    if (!strcmp(value, "sample"))
        *to = MALLOCTAP_MODE_SAMPLE;
    else if (!strcmp(value, "count"))
        *to = MALLOCTAP_MODE_COUNT;
    else if (!strcmp(value, "log"))
        *to = MALLOCTAP_MODE_LOG;
    else
        return false;
    return true;
}

/* The place of `value` among `names`; false when it is none of them. */
static bool parse_choice(unsigned *to, const char *const *names, size_t count, const char *value)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(value, names[i])) {
            *to = (unsigned)i;
            return true;
        }
    return false;
}

static bool parse_walker(enum stack_walker *to, const char *value)
{
    static const char *const names[] = {
        [STACK_WALKER_AUTO] = "auto",
        [STACK_WALKER_CFI] = "cfi",
        [STACK_WALKER_LIBUNWIND] = "libunwind",
        [STACK_WALKER_NONE] = "none",
    };
    unsigned choice;
    if (!parse_choice(&choice, names, ARRAY_LENGTH(names), value))
        return false;
    *to = (enum stack_walker)choice;
    return true;
}

static bool parse_sandbox(enum config_sandbox *to, const char *value)
{
    static const char *const names[] = {[SANDBOX_AUTO] = "auto",
                                        [SANDBOX_NO] = "no",
                                        [SANDBOX_YES] = "yes",
                                        [SANDBOX_STRICT] = "strict"};
    unsigned choice;
    if (!parse_choice(&choice, names, ARRAY_LENGTH(names), value))
        return false;
    *to = (enum config_sandbox)choice;
    return true;
}

/* The text parser needs to know the room; the others take just the field. */
#define PARSE_text(field, value) parse_text(field, sizeof field, value)
#define PARSE_number(field, value) parse_number(&field, value)
#define PARSE_size(field, value) parse_size(&field, value)
#define PARSE_ring(field, value) parse_ring(&field, value)
#define PARSE_flag(field, value) parse_flag(&field, value)
#define PARSE_silence(field, value) parse_silence(&field, value)
#define PARSE_mode(field, value) parse_mode(&field, value)
#define PARSE_walker(field, value) parse_walker(&field, value)
#define PARSE_sandbox(field, value) parse_sandbox(&field, value)

enum outcome { UNKNOWN, BAD, TAKEN };

static enum outcome config_set(const char *key, const char *value)
{
#define KEY(name, parser, initial)                                                                 \
    if (!strcmp(key, #name))                                                                       \
        return PARSE_##parser(config.name, value) ? TAKEN : BAD;
#include "keys.def"
#undef KEY
    return UNKNOWN;
}

/* Copy one KEY=VALUE up to an unescaped comma, resolving backslashes; returns where the next
 * begins. */
static const char *next_pair(const char *from, char *to, size_t size)
{
    size_t length = 0;
    while (*from != '\0' && *from != ',') {
        if (*from == '\\' && from[1] != '\0')
            from++;
        if (length + 1 < size)
            to[length++] = *from;
        from++;
    }
    to[length] = '\0';
    return *from == ',' ? from + 1 : from;
}

static void take_pair(char *pair, int (*backend_option)(const char *, const char *))
{
    char *equals = strchr(pair, '=');
    if (equals == NULL) {
        config_say("'", pair, "' in MALLOCTAP is not KEY=VALUE; ignored", NULL);
        return;
    }
    *equals = '\0';
    const char *value = equals + 1;
    enum outcome outcome = config_set(pair, value);
    if (outcome == UNKNOWN && backend_option != NULL && backend_option(pair, value) == 0)
        outcome = TAKEN;
    if (outcome == UNKNOWN)
        config_say("unknown option '", pair, "' in MALLOCTAP; ignored", NULL);
    else if (outcome == BAD)
        config_say("bad value '", value, "' for '", pair, "' in MALLOCTAP; ignored", NULL);
}

/* Values that parse but cannot be worked with. */
static void config_clamp(void)
{
    if (config.frames == 0 || config.frames > MALLOCTAP_STACK_FRAMES_MAX)
        config.frames = config.frames ? MALLOCTAP_STACK_FRAMES_MAX : 1;
    if (config.ring == RING_AUTO)
        config.ring = config.mode == MALLOCTAP_MODE_LOG ? 0 : CONFIG_RING;
    bool is_long = config.ring == 0 || config.ring >= LONG_RING;
    config.chunk = config.mode == MALLOCTAP_MODE_LOG && is_long ? LOG_CHUNK : CHUNK;
    config.thin = config.calls == 0 && config.bytes == 0;
    if (config.calls == 0)
        config.calls = DEFAULT_CALLS;
    if (config.bytes == 0)
        config.bytes = DEFAULT_BYTES;
    config.bytes = config_clamp_bytes(config.bytes);
}

void config_read(const char *options, int (*backend_option)(const char *key, const char *value))
{
#define KEY(name, parser, initial) (void)PARSE_##parser(config.name, initial);
#include "keys.def"
#undef KEY
    if (options == NULL)
        options = "";
    parse_text(config.as_given, sizeof config.as_given, options);
    while (*options != '\0') {
        char pair[1200];
        options = next_pair(options, pair, sizeof pair);
        if (pair[0] != '\0')
            take_pair(pair, backend_option);
    }
    config_clamp();
}
