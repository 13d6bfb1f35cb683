/* SPDX-License-Identifier: MIT */
/* cmd_run.c - `malloctap run`: start a program with the tap, wait, show what was recorded. */
#include "backend.h"
#include "emit.h"
#include "fate.h"
#include "launch.h"
#include "options.h"
#include "output.h"
#include "pack.h"
#include "program_check.h"
#include "tap.h"
#include "unseen.h"
#include "view_summary.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLS = OPTION_LONG,
    BYTES,
    FRAMES,
    RING,
    NO_FREE_STACKS,
    WALKER,
    SANDBOX,
    PACK,
    NO_CHILDREN
};

static const struct option_row rows[] = {
    {'b', "backend", "BACKEND", "own (default), libc, mtmalloc, jemalloc, ... or a library's path"},
    {'m', "mode", "MODE", "sample (default), log (every call, for leak hunts) or count"},
    {'o', "output", "FILE", "recording (default: malloctap.PROGRAM.PID.mtap)"},
    {'f', "force", NULL, "replace FILE where it is a recording"},
    {'q', "quiet", NULL, "print no summary at the end"},
    {CALLS, "calls", "N", "sample one in N calls, on average"},
    {BYTES, "bytes", "SIZE", "sample one in SIZE bytes, on average"},
    {FRAMES, "frames", "N", "record up to N frames of a stack (1 to 256)"},
    {RING, "ring", "SIZE", "keep the newest SIZE of records; 0: all (default: 256M, of a log all)"},
    {NO_FREE_STACKS, "no-free-stacks", NULL, "log frees without their stacks: costs less"},
    {WALKER, "walker", "NAME", "how stacks are walked: auto, cfi, libunwind, none"},
    {SANDBOX, "sandbox", "CHOICE",
     "whether PROGRAM forbids itself system calls (seccomp): auto, no, yes, strict"},
    {PACK, "pack", NULL, "compress the recordings at the end, as `malloctap pack` does"},
    {NO_CHILDREN, "no-children", NULL, "do not record the processes that PROGRAM starts"},
    {0},
};

static const struct command_usage usage = {
    "run",
    "[OPTION...] [--] PROGRAM [ARG...]",
    "Run PROGRAM with the tap, then print a summary on stderr. Its children are recorded too, each in\n"
    "a file of its own beside. Exits as PROGRAM did (128 + N when signal N ended it); 2, without\n"
    "starting it, when it cannot be tapped.\n"
    "\n"
    "BACKEND may have settings: mtmalloc,chunk=64 or libc,MALLOC_ARENA_MAX=1 (capitals: variables\n"
    "of the program's environment).",
    rows,
    .program_follows = true,
};

struct run_options {
    const char *backend;
    const char *mode;
    const char *output;
    bool force;
    bool quiet;
    bool pack;
    bool no_children;
    struct tap tap;
    /* sizes as the preload object reads them: plain bytes */
    char bytes[24];
    char ring[24];
};

/* ---- the command line ----------------------------------------------------------------------- */

static int mode_take(struct run_options *options, const char *mode)
{
    static const char *const modes[] = {"sample", "log", "count"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(mode, modes[i]) == 0) {
            options->mode = mode;
            return EXIT_DONE;
        }
    return bad_input("run: -m %s: no such mode; use sample, log or count", mode);
}

static int number_take(struct run_options *options, const char *key, const char *text,
                       uint64_t most)
{
    uint64_t number;
    if (!parse_count(text, &number) || number < 1 || number > most)
        return bad_input("run: --%s %s: must be a number from 1 to %llu", key, text,
                         (unsigned long long)most);
    tap_set(&options->tap, key, text);
    return EXIT_DONE;
}

static int size_take(struct run_options *options, const char *key, const char *text, uint64_t least,
                     char *bytes, size_t room)
{
    uint64_t size;
    if (!parse_size(text, &size) || size < least)
        return bad_input("run: --%s %s: must be a size such as 512K or 64M", key, text);
    snprintf(bytes, room, "%llu", (unsigned long long)size);
    tap_set(&options->tap, key, bytes);
    return EXIT_DONE;
}

/* One of a few words, the last of which is NULL. */
static int choice_take(struct run_options *options, const char *key, const char *text,
                       const char *const *words)
{
    char all[128] = "";
    for (size_t i = 0, length = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            tap_set(&options->tap, key, text);
            return EXIT_DONE;
        }
        length +=
            (size_t)snprintf(all + length, sizeof all - length, "%s%s", i ? ", " : "", words[i]);
    }
    return bad_input("run: --%s %s: no such choice; use one of %s", key, text, all);
}

static int option_take(struct run_options *options, int key)
{
    static const char *const walkers[] = {"auto", "cfi", "libunwind", "none", NULL};
    static const char *const sandboxes[] = {"auto", "no", "yes", "strict", NULL};
    switch (key) {
    case 'b':
        options->backend = optarg;
        return EXIT_DONE;
    case 'm':
        return mode_take(options, optarg);
    case 'o':
        options->output = optarg;
        return EXIT_DONE;
    case 'f':
        options->force = true;
        return EXIT_DONE;
    case 'q':
        options->quiet = true;
        return EXIT_DONE;
    case CALLS:
        return number_take(options, "calls", optarg, 1ULL << 40);
    case BYTES:
        return size_take(options, "bytes", optarg, 1, options->bytes, sizeof options->bytes);
    case FRAMES:
        return number_take(options, "frames", optarg, MALLOCTAP_STACK_FRAMES_MAX);
    case RING:
        return size_take(options, "ring", optarg, 0, options->ring, sizeof options->ring);
    case NO_FREE_STACKS:
        tap_set(&options->tap, "free_stacks", "off");
        return EXIT_DONE;
    case WALKER:
        return choice_take(options, "walker", optarg, walkers);
    case SANDBOX:
        return choice_take(options, "sandbox", optarg, sandboxes);
    case PACK:
        options->pack = true;
        return EXIT_DONE;
    case NO_CHILDREN:
        options->no_children = true;
        tap_set(&options->tap, "children", "off");
        return EXIT_DONE;
    default:
        return EXIT_BAD_INPUT; /* said already */
    }
}

/* ---- waiting -------------------------------------------------------------------------------- */

/*
 * A signal that reached us. From the terminal, it reached the program too: it is in our process
 * group. One sent by a process was meant for the program, but by the program itself not for us.
 */
static void signal_pass(const struct signalfd_siginfo *info, pid_t program)
{
    if (info->ssi_code <= 0 && (pid_t)info->ssi_pid != program)
        kill(program, (int)info->ssi_signo);
}

/* Has it ended? It is not yet waited for, so that it can still be looked at. */
static bool has_ended(pid_t program)
{
    siginfo_t ended = {0};
    return waitid(P_PID, (id_t)program, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == program;
}

/* Wait for the program's end, outliving what ends it. Its wait status. */
static int program_wait(pid_t program, const sigset_t *signals, struct unseen *unseen)
{
    sigset_t waited = *signals;
    sigaddset(&waited, SIGCHLD);
    int arrivals = signalfd(-1, &waited, SFD_CLOEXEC), status = 0;
    while (!has_ended(program)) {
        struct signalfd_siginfo info;
        unseen_watch(unseen, arrivals);
        if (read(arrivals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
            signal_pass(&info, program);
    }
    unseen_ended(unseen);
    close(arrivals);
    waitpid(program, &status, 0);
    return status;
}

/* ---- afterwards ----------------------------------------------------------------------------- */

/* Children are recordings of their own. Where a program leaves its work to a child, as a daemon
 * does, that one is worth a look. */
static void children_print(const struct output_recordings *recordings,
                           const struct output_recording *shown)
{
    enum { NAMED = 5 };
    size_t others = recordings->count - (shown != NULL), named = 0;
    if (!others)
        return;
    say("%zu more recording%s of this run, those with the most calls first:", others,
        others == 1 ? "" : "s");
    for (size_t i = 0; i < recordings->count && named < NAMED; i++) {
        const struct output_recording *row = &recordings->rows[i];
        if (row == shown)
            continue;
        fprintf(stderr, "  %s: %s, %s calls, %s%s\n", row->path, row->program.text,
                emit_count((double)row->calls).text, emit_size((double)row->bytes_requested).text,
                row->running ? ", still running" : "");
        named++;
    }
    if (named < others)
        fprintf(stderr, "  and %zu with fewer\n", others - named);
    if (shown != &recordings->rows[0])
        say("most calls are in a child: malloctap summary %s", recordings->rows[0].path);
}

/* Said by their parents: they could not open a file, and their standard error may be anything. */
static void unrecorded_print(const struct output_recordings *recordings)
{
    uint64_t unrecorded = 0;
    for (size_t i = 0; i < recordings->count; i++)
        unrecorded += recordings->rows[i].children_unrecorded;
    if (unrecorded)
        say("%llu process%s that it forked could not create a recording (another user, another "
            "root, no space): what %s did is in none; -o names a place where all may write",
            (unsigned long long)unrecorded, unrecorded == 1 ? "" : "es",
            unrecorded == 1 ? "it" : "they");
}

/* What stays unseen of the program was said before it started; of what it started nobody knew. */
static void warnings_print(const struct output_recordings *recordings,
                           const struct program *program)
{
    for (size_t i = 0; i < recordings->count; i++) {
        const char *path = recordings->rows[i].executable;
        struct program child;
        char unused[PATH_MAX + 512];
        bool known = strcmp(path, program->binary) == 0;
        for (size_t j = 0; j < i && !known; j++)
            known = strcmp(path, recordings->rows[j].executable) == 0;
        if (!known && program_check(path, &child, unused, sizeof unused) == 0 && child.warning)
            say("%s: %s", path, child.warning);
    }
}

static void summary_print(const char *path)
{
    struct malloctap_recording *recording;
    struct malloctap_error error;
    if (malloctap_recording_open(path, &recording, &error)) {
        say("%s", error.text);
        return;
    }
    if (view_summary(recording, stderr, &error))
        say("%s", error.text);
    malloctap_recording_close(recording);
}

/* Compress all that are finished; what cannot be stays as it is. */
static void recordings_pack(struct output_recordings *recordings)
{
    for (size_t i = 0; i < recordings->count; i++) {
        struct output_recording *row = &recordings->rows[i];
        struct pack_result packed;
        struct malloctap_error error;
        if (row->running)
            continue;
        if (pack_recording(row->path, (struct pack_options){.level = PACK_LEVEL_DEFAULT}, &packed,
                           &error)) {
            say("%s", error.text);
            continue;
        }
        free(row->path);
        row->path = packed.path;
    }
}

/* The recording is the handshake: if there never was one, the tap was not in the program. */
static void missing_print(const struct program *program, const char *path, int watch)
{
    const char *name = strrchr(path, '/') + 1;
    char new_name[NAME_MAX + 1];
    switch (fate_find(watch, name, new_name)) {
    case FATE_UNKNOWN:
        say("%s left no recording: the loader did not load the tap, or %s could not be written "
            "(see above); try LD_DEBUG=libs, or -o in another directory",
            program->path, path);
        break;
    case FATE_GONE:
        say("the recording %s is not there any more", path);
        break;
    case FATE_DELETED:
        say("the recording %s was deleted while %s ran; try -o in another directory", path,
            program->path);
        break;
    case FATE_RENAMED:
        say("the recording %s was renamed while %s ran: malloctap summary %.*s%s", path,
            program->path, (int)(name - path), path, new_name);
        break;
    case FATE_MOVED:
        say("the recording %s was moved to another directory while %s ran", path, program->path);
        break;
    }
}

static void results_print(const struct run_options *options, const struct program *program,
                          pid_t pid, uint64_t since_ns, uint64_t ended_ns,
                          const struct unseen *unseen, int watch)
{
    char path[PATH_MAX];
    struct output_recordings recordings;
    tap_output(&options->tap, pid, path, sizeof path);
    output_find(path, since_ns, &recordings);
    const struct output_recording *main = output_of_process(&recordings, pid);
    if (!main)
        missing_print(program, path, watch);
    else {
        output_note_end(main, ended_ns);
        unseen_print(unseen, &recordings, !options->no_children);
    }
    unrecorded_print(&recordings);
    warnings_print(&recordings, program);
    if (options->pack)
        recordings_pack(&recordings);
    if (!options->quiet) {
        if (main)
            summary_print(main->path);
        children_print(&recordings, main);
    }
    output_recordings_deinit(&recordings);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run(struct run_options *options, const struct program *program, char **argv)
{
    sigset_t signals;
    struct launch_signals before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    launch_signals_take(&signals, &before);
    const struct launch launch = {.path = program->path,
                                  .argv = argv,
                                  .tap = &options->tap,
                                  .signals = &before,
                                  .input = -1,
                                  .output = -1,
                                  .errors = -1};
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", options->tap.output);
    dirname(directory);
    int watch = fate_watch(directory);
    uint64_t since_ns = clock_ns(CLOCK_REALTIME), began_ns = clock_ns(CLOCK_MONOTONIC);
    pid_t pid = launch_start(&launch);
    if (pid < 0) {
        int error = errno;
        close(watch);
        launch_signals_restore(&before);
        return bad_input("%s: cannot be started: %s; see whether it starts without malloctap",
                         program->path, strerror(error));
    }
    struct unseen *unseen = unseen_create(pid, options->tap.library, options->tap.output);
    int status = program_wait(pid, &signals, unseen);
    /* As the wall clock would have it, had nobody set it meanwhile. */
    uint64_t ended_ns = since_ns + (clock_ns(CLOCK_MONOTONIC) - began_ns);
    launch_signals_restore(&before);
    results_print(options, program, pid, since_ns, ended_ns, unseen, watch);
    unseen_destroy(unseen);
    close(watch);
    return launch_exit_status(status);
}

/* Everything that can be wrong is found before the program starts. */
int command_run(int argc, char **argv)
{
    struct run_options options = {.backend = "own", .mode = "sample"};
    int key;
    while ((key = options_next(&usage, argc, argv)) != OPTIONS_END) {
        if (key == OPTIONS_HELP)
            return EXIT_DONE;
        if (option_take(&options, key))
            return EXIT_BAD_INPUT;
    }
    if (optind == argc)
        return bad_input("run: no program given; malloctap run [OPTION...] -- PROGRAM [ARG...]");

    char message[PATH_MAX + 512];
    struct program program;
    struct backend backend;
    struct tap *tap = &options.tap;
    tap_set(tap, "mode", options.mode);
    if (program_check(argv[optind], &program, message, sizeof message) ||
        backend_init(options.backend, &backend, message, sizeof message))
        return bad_input("%s", message);
    tap->backend = &backend;
    int result = EXIT_BAD_INPUT;
    if (backend_check(&backend, &program, message, sizeof message) ||
        tap_library_find(tap->library, sizeof tap->library, message, sizeof message) ||
        output_prepare(tap, options.output, program.path, options.force, message, sizeof message)) {
        bad_input("%s", message);
    } else {
        if (program.warning)
            say("%s: %s", program.path, program.warning);
        result = run(&options, &program, argv + optind);
    }
    backend_deinit(&backend);
    return result;
}
