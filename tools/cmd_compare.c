/* SPDX-License-Identifier: MIT */
/* cmd_compare.c - `malloctap compare`: the same program under several backends. */
#include "compare.h"
#include "options.h"
#include "program_check.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKENDS_MAX = 32, ROUNDS_DEFAULT = 7, ROUNDS_MAX = 100000 };

enum {
    FOR = OPTION_LONG,
    STDIN,
    SETUP,
    CLEANUP,
    READY_OUTPUT_OPTION,
    READY_PORT_OPTION,
    READY_FILE_OPTION,
    TIMEOUT,
    GRACE,
    KEEP,
    KEEP_OUTPUT,
    JSON,
    CSV
};

static const struct option_row rows[] = {
    {'b', "backend", "BACKEND", "one to compare, any number of times; the first is the base"},
    {'n', "runs", "N",
     "rounds (default 7, or as many as it takes): one run of each in every round"},
    {FOR, "for", "DURATION", "rounds as long as this lasts, such as 10m, rather than a number"},
    {STDIN, "stdin", "FILE", "standard input of every run (default: empty)"},
    {SETUP, "setup", "COMMAND", "shell command before every run, not measured"},
    {CLEANUP, "cleanup", "COMMAND", "the same after it"},
    {READY_OUTPUT_OPTION, "ready-output", "REGEX", "ready when a line of its output matches"},
    {READY_PORT_OPTION, "ready-port", "N", "ready when it accepts connections at port N"},
    {READY_FILE_OPTION, "ready-file", "PATH", "ready when PATH is there; removed after each run"},
    {TIMEOUT, "timeout", "DURATION", "a run that takes longer fails (a service: 60s)"},
    {GRACE, "grace", "DURATION", "from SIGTERM to SIGKILL (default 5s)"},
    {'i', "ignore-exit-status", NULL, "count runs whose exit status is not 0"},
    {KEEP, "keep", "DIR", "keep the recordings there"},
    {KEEP_OUTPUT, "keep-output", "DIR", "keep what the program prints there, a file a run"},
    {JSON, "json", NULL, "print JSON"},
    {CSV, "csv", NULL, "print CSV"},
    {0},
};

static const struct command_usage usage = {
    "compare",
    "[-b BACKEND]... [OPTION...] [--] PROGRAM [ARG...]",
    "Run PROGRAM under each backend (without -b: own and mtmalloc) in interleaved rounds, after a\n"
    "warm-up each, and say what each buys in time for what memory. What PROGRAM prints is not\n"
    "shown, unless it fails.\n"
    "\n"
    "A service does not end by itself: with one of the --ready options the time until it is ready\n"
    "is measured, then it is asked to stop (SIGTERM, later SIGKILL) with all that it started.\n"
    "\n"
    "BACKEND may have settings and a name: one-lock=libc,MALLOC_ARENA_MAX=1 (see malloctap run).",
    rows,
    .program_follows = true,
};

struct compare_options {
    const char *backends[BACKENDS_MAX];
    size_t backend_count;
    enum emit_format format;
    bool helped; /* the help is all that was asked for */
    struct compare *compare;
    char message[PATH_MAX + 512];
};

/* ---- the command line ----------------------------------------------------------------------- */

static int rounds_take(struct compare *compare, const char *text)
{
    if (!parse_count(text, &compare->rounds_max) || compare->rounds_max < 1 ||
        compare->rounds_max > ROUNDS_MAX)
        return bad_input("compare: -n %s: must be a number from 1 to %d", text, ROUNDS_MAX);
    return EXIT_DONE;
}

static int duration_take(const char *option, const char *text, uint64_t *ret)
{
    if (!parse_duration_ns(text, ret) || !*ret)
        return bad_input("compare: --%s %s: must be a duration such as 90s, 10m or 1h", option,
                         text);
    return EXIT_DONE;
}

static int ready_take(struct compare_options *options, int key, const char *text)
{
    struct ready *ready = &options->compare->plan.ready;
    if (ready->kind != READY_NONE)
        return bad_input("compare: more than one --ready option; give one");
    int failed;
    if (key == READY_OUTPUT_OPTION)
        failed = ready_output_init(ready, text, options->message, sizeof options->message);
    else if (key == READY_PORT_OPTION)
        failed = ready_port_init(ready, text, options->message, sizeof options->message);
    else
        failed = ready_file_init(ready, text, options->message, sizeof options->message);
    return failed ? bad_input("compare: %s", options->message) : EXIT_DONE;
}

/* Create it, or take an empty one: files of another comparison must not get between. */
static int directory_take(const char *option, const char *path, const char **ret)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        return bad_input("compare: --%s %s: %s; name a new directory", option, path,
                         strerror(errno));
    struct dirent **names;
    int count = scandir(path, &names, NULL, NULL);
    for (int i = 0; i < count; i++)
        free(names[i]);
    if (count >= 0)
        free(names);
    if (count < 0 || access(path, W_OK | X_OK))
        return bad_input("compare: --%s %s: %s; name a new directory", option, path,
                         strerror(errno));
    if (count > 2)
        return bad_input("compare: --%s %s: is not empty; name a new directory", option, path);
    *ret = realpath(path, NULL);
    if (!*ret)
        return bad_input("compare: --%s %s: %s; name a new directory", option, path,
                         strerror(errno));
    return EXIT_DONE;
}

static int backend_take(struct compare_options *options, const char *text)
{
    if (options->backend_count == BACKENDS_MAX)
        return bad_input("compare: more than %d backends; compare fewer", BACKENDS_MAX);
    options->backends[options->backend_count++] = text;
    return EXIT_DONE;
}

static int option_take(struct compare_options *options, int key)
{
    struct compare *compare = options->compare;
    switch (key) {
    case 'b':
        return backend_take(options, optarg);
    case 'n':
        return rounds_take(compare, optarg);
    case FOR:
        return duration_take("for", optarg, &compare->for_ns);
    case STDIN:
        compare->plan.input = optarg;
        return access(optarg, R_OK) ? bad_input("compare: --stdin %s: %s; give a readable file",
                                                optarg, strerror(errno))
                                    : EXIT_DONE;
    case SETUP:
        compare->setup = optarg;
        return EXIT_DONE;
    case CLEANUP:
        compare->cleanup = optarg;
        return EXIT_DONE;
    case READY_OUTPUT_OPTION:
    case READY_PORT_OPTION:
    case READY_FILE_OPTION:
        return ready_take(options, key, optarg);
    case TIMEOUT:
        return duration_take("timeout", optarg, &compare->plan.timeout_ns);
    case GRACE:
        return duration_take("grace", optarg, &compare->plan.grace_ns);
    case 'i':
        compare->plan.any_exit_status = true;
        return EXIT_DONE;
    case KEEP:
        return directory_take("keep", optarg, &compare->keep);
    case KEEP_OUTPUT:
        return directory_take("keep-output", optarg, &compare->keep_output);
    case JSON:
        options->format = EMIT_JSON;
        return EXIT_DONE;
    case CSV:
        options->format = EMIT_CSV;
        return EXIT_DONE;
    default:
        return EXIT_BAD_INPUT; /* said already */
    }
}

/* Too few are run all the same: the figures may be wanted without a verdict. */
static void rounds_settle(struct compare *compare)
{
    size_t least = verdict_rounds_least(compare->backend_count);
    if (!compare->rounds_max && compare->for_ns)
        compare->rounds_max = UINT64_MAX;
    else if (!compare->rounds_max)
        compare->rounds_max = least > ROUNDS_DEFAULT ? least : ROUNDS_DEFAULT;
    else if (compare->rounds_max < least)
        say("compare: -n %zu cannot tell a difference from noise; with so many backends it takes "
            "%zu at least: -n %zu",
            (size_t)compare->rounds_max, least, least);
}

static int options_take(struct compare_options *options, int argc, char **argv)
{
    struct compare *compare = options->compare;
    int key;
    while ((key = options_next(&usage, argc, argv)) != OPTIONS_END) {
        options->helped = key == OPTIONS_HELP;
        if (options->helped)
            return EXIT_DONE;
        if (option_take(options, key))
            return EXIT_BAD_INPUT;
    }
    if (optind == argc)
        return bad_input("compare: no program given; malloctap compare [OPTION...] -- PROGRAM");
    if (compare->plan.ready.kind != READY_NONE && !compare->plan.timeout_ns)
        compare->plan.timeout_ns = 60000000000; /* one that never gets ready must not hang us */
    if (!options->backend_count) {
        options->backends[options->backend_count++] = "own";
        options->backends[options->backend_count++] = "mtmalloc";
    }
    return EXIT_DONE;
}

/* ---- what is run ---------------------------------------------------------------------------- */

/*
 * Can the first backend run without the tap? mtmalloc is only inside it; and libc's own malloc,
 * where the program brings another, is reached only through it.
 */
static bool plain_possible(const struct backend *backend, const struct program *program)
{
    const char *name = backend->spec.backend, *preload = getenv("LD_PRELOAD");
    if (strcmp(name, "libc") == 0)
        return !*program->facts.allocator && !program->facts.defines_malloc &&
               !(preload && *preload);
    return strcmp(name, "mtmalloc") != 0;
}

/* Names head rows and are keys of the JSON: they must tell the backends apart. */
static int names_check(const struct compare *compare)
{
    for (size_t i = 0; i < compare->backend_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(compare->items[i].name, compare->items[j].name) == 0)
                return bad_input("compare: two backends are named %s; give one another name: "
                                 "-b NAME=BACKEND",
                                 compare->items[i].name);
    return EXIT_DONE;
}

static int items_prepare(struct compare_options *options, const struct program *program)
{
    struct compare *compare = options->compare;
    char library[PATH_MAX];
    if (tap_library_find(library, sizeof library, options->message, sizeof options->message))
        return bad_input("%s", options->message);
    compare->backends = calloc(options->backend_count, sizeof *compare->backends);
    compare->items = calloc(options->backend_count + 1, sizeof *compare->items);
    if (!compare->backends || !compare->items)
        abort();
    for (size_t i = 0; i < options->backend_count; i++) {
        struct backend *backend = &compare->backends[i];
        struct compare_item *item = &compare->items[i];
        if (backend_init(options->backends[i], backend, options->message, sizeof options->message))
            return bad_input("%s", options->message);
        item->name = backend->spec.name;
        item->tap.backend = backend;
        snprintf(item->tap.library, sizeof item->tap.library, "%s", library);
        compare->item_count = ++compare->backend_count;
        if (backend_check(backend, program, options->message, sizeof options->message))
            return bad_input("%s", options->message);
    }
    if (plain_possible(&compare->backends[0], program)) {
        struct compare_item *plain = &compare->items[compare->item_count++];
        plain->name = "plain";
        plain->tap.backend = &compare->backends[0];
    }
    return names_check(compare);
}

static void compare_deinit(struct compare *compare)
{
    for (size_t i = 0; i < compare->item_count; i++) {
        free(compare->items[i].rounds);
        free(compare->items[i].failures);
    }
    for (size_t i = 0; i < compare->backend_count; i++)
        backend_deinit(&compare->backends[i]);
    free(compare->items);
    free(compare->backends);
    ready_deinit(&compare->plan.ready);
    free((char *)compare->keep);
    free((char *)compare->keep_output);
}

/* ---- the command ---------------------------------------------------------------------------- */

static int result_print(const struct compare *compare, enum emit_format format)
{
    struct compare_result result;
    compare_result_init(compare, &result);
    if (format == EMIT_JSON)
        compare_json_print(&result, stdout);
    else if (format == EMIT_CSV)
        compare_csv_print(&result, stdout);
    else
        compare_text_print(&result, stdout);
    compare_result_deinit(&result);
    return emit_finish(stdout);
}

static int rounds_run(struct compare *compare, enum emit_format format)
{
    const char *directory = getenv("TMPDIR");
    int length = snprintf(compare->scratch, sizeof compare->scratch, "%s/malloctap-XXXXXX",
                          directory && *directory ? directory : "/tmp");
    if (length >= (int)sizeof compare->scratch || !mkdtemp(compare->scratch))
        return bad_input("compare: no private directory in %s: %s; set TMPDIR to a directory that "
                         "can be written",
                         directory && *directory ? directory : "/tmp", strerror(errno));
    compare_run(compare);
    compare_scratch_remove(compare);
    if (compare->stopped)
        say("compare: stopped by a signal after %zu whole rounds; nothing is left running",
            compare->rounds);
    if (compare->items[0].given_up) {
        const struct compare_item *plain = compare_plain(compare);
        return bad_input("%s fails, so there is nothing to compare with%s", compare->items[0].name,
                         plain && plain->given_up ? "; the program fails without the tap too" : "");
    }
    int result = compare->rounds ? result_print(compare, format) : EXIT_DONE;
    return compare->stopped ? 128 + compare->stopped : result;
}

static int compare_program(struct compare_options *options, char **argv)
{
    struct program program;
    if (program_check(argv[0], &program, options->message, sizeof options->message))
        return bad_input("%s", options->message);
    if (items_prepare(options, &program))
        return EXIT_BAD_INPUT;
    if (program.warning)
        say("%s: %s", program.path, program.warning);
    rounds_settle(options->compare);
    options->compare->plan.path = program.path;
    options->compare->plan.argv = argv;
    return rounds_run(options->compare, options->format);
}

int command_compare(int argc, char **argv)
{
    struct compare compare = {.plan = {.input = "/dev/null", .grace_ns = 5000000000}};
    struct compare_options options = {.compare = &compare};
    int result = options_take(&options, argc, argv);
    if (!result && !options.helped)
        result = compare_program(&options, argv + optind);
    compare_deinit(&compare);
    return result;
}
