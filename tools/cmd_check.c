/* SPDX-License-Identifier: MIT */
/* cmd_check.c - `malloctap check`: can this program be tapped, and what would stay unseen? */
#include "backend.h"
#include "emit.h"
#include "options.h"
#include "program_check.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { JSON = OPTION_LONG };

static const struct option_row rows[] = {
    {'b', "backend", "BACKEND", "the allocator it would run on, as for run (default: own)"},
    {JSON, "json", NULL, "print a JSON object"},
    {0},
};

static const struct command_usage usage = {
    "check",
    "[OPTION...] [--] PROGRAM [ARG...]",
    "Say whether PROGRAM can be tapped and what would stay unseen, without starting it. Exit status:\n"
    "0 it can be; 1 it can be, but some of its calls would stay unseen; 2 it cannot be.",
    rows,
    .program_follows = true,
};

enum { PARTLY_UNSEEN = 1 };

struct check {
    struct program program;
    char refusal[PATH_MAX + 512]; /* why it cannot be tapped; "": it can */
    char note[256];               /* what else is worth knowing; "": nothing */
};

static void check_make(const char *name, const struct backend *backend, struct check *ret)
{
    *ret = (struct check){0};
    if (program_check(name, &ret->program, ret->refusal, sizeof ret->refusal) ||
        backend_check(backend, &ret->program, ret->refusal, sizeof ret->refusal))
        return;
    const struct elf_facts *facts = &ret->program.facts;
    if (facts->private_imports && *facts->allocator)
        snprintf(ret->note, sizeof ret->note,
                 "is bound to %s, which it calls by names of its own: it runs on that one only",
                 facts->allocator);
    else if (*facts->allocator)
        snprintf(ret->note, sizeof ret->note, "is linked with %s, which serves it under -b own",
                 facts->allocator);
}

static int status_of(const struct check *check)
{
    if (*check->refusal)
        return EXIT_BAD_INPUT;
    return check->program.warning ? PARTLY_UNSEEN : EXIT_DONE;
}

static void text_print(const struct check *check)
{
    const struct program *program = &check->program;
    if (*check->refusal) {
        bad_input("%s", check->refusal);
        return;
    }
    emit_put(stdout, program->path);
    printf(": can be tapped%s\n", program->warning ? ", but some calls would stay unseen" : "");
    if (strcmp(program->path, program->binary) != 0) {
        printf("  is run by ");
        emit_put(stdout, program->binary);
        printf("\n");
    }
    if (program->warning)
        printf("  %s\n", program->warning);
    if (*check->note)
        printf("  %s\n", check->note);
}

static json_object *text_or_null(const char *text)
{
    return emit_json_text(text && *text ? text : NULL);
}

static void json_print(const struct check *check)
{
    json_object *object = json_object_new_object();
    json_object_object_add(object, "program", text_or_null(check->program.path));
    json_object_object_add(object, "binary", text_or_null(check->program.binary));
    json_object_object_add(object, "tappable", json_object_new_boolean(!*check->refusal));
    json_object_object_add(object, "refusal", text_or_null(check->refusal));
    json_object_object_add(object, "unseen", text_or_null(check->program.warning));
    json_object_object_add(object, "note", text_or_null(check->note));
    emit_json_print(object, stdout);
}

int command_check(int argc, char **argv)
{
    const char *backend_text = "own";
    bool json = false;
    int key;
    while ((key = options_next(&usage, argc, argv)) != OPTIONS_END)
        switch (key) {
        case 'b':
            backend_text = optarg;
            break;
        case JSON:
            json = true;
            break;
        case OPTIONS_HELP:
            return EXIT_DONE;
        default:
            return EXIT_BAD_INPUT; /* said already */
        }
    if (optind == argc)
        return bad_input("check: no program given; malloctap check [OPTION...] PROGRAM");

    char message[PATH_MAX + 512];
    struct backend backend;
    if (backend_init(backend_text, &backend, message, sizeof message))
        return bad_input("%s", message);
    struct check check;
    check_make(argv[optind], &backend, &check);
    if (json)
        json_print(&check);
    else
        text_print(&check);
    backend_deinit(&backend);
    int incomplete = emit_finish(stdout);
    return incomplete ? incomplete : status_of(&check);
}
