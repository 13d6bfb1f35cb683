/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "control.h"
#include "emit.h"
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATIENCE_NS 500000000u
#define CALLS_MAX (1ULL << 40)

static const struct option_row rows[] = {{0}};
static const struct command_usage usage = {
    "ctl",
    "PID|RECORDING on|off|sample|log|count|calls=N|bytes=SIZE ...",
    "Tell a running program's tap what to record from now on. off: only count; on: as it was at the\n"
    "start. Each thread obeys at the latest after as many calls as separate two samples, one that\n"
    "only counts after some 65 thousand.",
    rows,
    false,
};

static bool take_word(struct control_orders *orders, const char *word)
{
    static const struct {
        const char *word;
        uint32_t mode;
    } modes[] = {
        {"on", 0},
        {"off", MALLOCTAP_MODE_COUNT},
        {"count", MALLOCTAP_MODE_COUNT},
        {"sample", MALLOCTAP_MODE_SAMPLE},
        {"log", MALLOCTAP_MODE_LOG},
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(word, modes[i].word)) {
            orders->mode = modes[i].mode;
            return true;
        }
    if (!strncmp(word, "calls=", 6))
        return parse_count(word + 6, &orders->calls) && orders->calls > 0 &&
               orders->calls <= CALLS_MAX;
    if (!strncmp(word, "bytes=", 6))
        return parse_size(word + 6, &orders->bytes) && orders->bytes > 0;
    return false;
}

static int open_target(const char *target, struct control *ret)
{
    char message[4300];
    uint64_t pid;
    struct stat status;
    bool is_pid = parse_count(target, &pid) && pid > 0 && pid <= INT32_MAX && stat(target, &status);
    int result = is_pid ? control_open_process((pid_t)pid, ret, message, sizeof message)
                        : control_open_file(target, ret, message, sizeof message);
    return result == 0 ? 0 : bad_input("ctl: %s", message);
}

static void report(const struct control *control, const struct control_orders *orders, bool obeyed)
{
    const struct malloctap_header *header = control->header;
    static const char *const doing[] = {
        [MALLOCTAP_MODE_COUNT] = "counts calls",
        [MALLOCTAP_MODE_SAMPLE] = "samples calls",
        [MALLOCTAP_MODE_LOG] = "logs every call",
    };
    uint32_t mode = orders->mode ? orders->mode : header->mode;
    if (obeyed)
        printf("process %u %s from now on, in %s\n", header->pid,
               mode < sizeof doing / sizeof doing[0] ? doing[mode] : "does as told", control->path);
    else
        printf("process %u has been told; it has made too few calls since to have noticed\n",
               header->pid);
    if (mode == MALLOCTAP_MODE_LOG && header->ring_limit)
        printf("the newest %s are kept: started with --ring 0 it would keep all\n",
               emit_size((double)header->ring_limit).text);
}

int command_ctl(int argc, char **argv)
{
    int option = options_next(&usage, argc, argv);
    if (option != OPTIONS_END)
        return option == OPTIONS_HELP ? EXIT_DONE : EXIT_BAD_INPUT;
    if (argc - optind < 2)
        return bad_input(
            "ctl: a process and what it shall do are missing; see malloctap ctl --help");
    struct control control;
    if (open_target(argv[optind], &control) != 0)
        return EXIT_BAD_INPUT;
    struct control_orders orders = control_current(&control);
    int status = EXIT_DONE;
    for (int i = optind + 1; i < argc && status == EXIT_DONE; i++)
        if (!take_word(&orders, argv[i]))
            status = bad_input(
                "ctl: '%s': must be on, off, sample, log, count, calls=N or bytes=SIZE", argv[i]);
    if (status == EXIT_DONE) {
        bool obeyed = control_send(&control, &orders, PATIENCE_NS);
        report(&control, &orders, obeyed);
        status = emit_finish(stdout);
    }
    control_close(&control);
    return status;
}
