/* SPDX-License-Identifier: MIT */
#include "unseen.h"

#include "elf_facts.h"
#include "options.h"

#include <malloctap/recording.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Looks take at most one part in so many of the time. */
enum { LOOK_SHARE = 20 };
enum { FIRST_DELAY_MS = 10, LAST_DELAY_MS = 1000, NS_PER_MS = 1000000 };

enum verdict { UNDECIDED, RECORDED, UNTAPPED, UNRECORDED };

/* One program that a process was, at some look. */
struct sight {
    pid_t pid;
    char *path; /* of its executable; of another user's program only its name */
    enum verdict verdict;
    const char *why;
};

struct unseen {
    pid_t program;
    char *library;
    char *stem;         /* "/" and how the names of recordings begin */
    int events;         /* inotify; -1: none */
    uint64_t delay_ns;  /* from one look to the next */
    uint64_t next_ns;   /* when to look, whatever happens */
    uint64_t rest_ns;   /* until then, not even when something happens */
    char last_name[32]; /* what the program was called when it had ended; "": not known */
    struct sight *sights;
    size_t count;
};

static void *checked(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct unseen *unseen_create(pid_t program, const char *library, const char *recordings)
{
    const char *name = strrchr(recordings, '/') + 1;
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", (int)(name - recordings), recordings);
    struct unseen *ret = checked(calloc(1, sizeof *ret));
    ret->program = program;
    ret->library = checked(strdup(library));
    ret->stem = checked(strndup(name - 1, 1 + output_stem(name)));
    ret->delay_ns = FIRST_DELAY_MS * NS_PER_MS;
    ret->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (ret->events >= 0)
        inotify_add_watch(ret->events, directory, IN_CLOSE_WRITE);
    return ret;
}

void unseen_destroy(struct unseen *unseen)
{
    for (size_t i = 0; i < unseen->count; i++)
        free(unseen->sights[i].path);
    if (unseen->events >= 0)
        close(unseen->events);
    free(unseen->sights);
    free(unseen->library);
    free(unseen->stem);
    free(unseen);
}

/* ---- one process ---------------------------------------------------------------------------- */

static FILE *proc_open(pid_t pid, const char *file)
{
    char path[340];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    return fopen(path, "re");
}

static bool name_read(pid_t pid, char *ret, size_t size)
{
    FILE *file = proc_open(pid, "comm");
    bool got = file && fgets(ret, (int)size, file);
    if (file)
        fclose(file);
    if (got)
        ret[strcspn(ret, "\n")] = '\0';
    return got;
}

/* What the process executes; -1 and errno when that cannot be seen. */
static int executable_read(pid_t pid, char *ret, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(link, ret, size - 1);
    if (length < 0)
        return -1;
    ret[length] = '\0';
    return 0;
}

/* Has the process `text` in its environment? 1, 0, or -1: it cannot be read. */
static int environment_holds(pid_t pid, const char *text)
{
    FILE *stream = proc_open(pid, "environ");
    if (!stream)
        return -1;
    char *variable = NULL;
    size_t room = 0;
    int found = 0;
    while (!found && getdelim(&variable, &room, '\0', stream) > 0)
        found = strstr(variable, text) != NULL;
    free(variable);
    fclose(stream);
    return found;
}

/* What a process has mapped. */
struct maps {
    bool tap;
    bool libc;
    bool recording;
    int error; /* why it cannot record; 0: it can, or has not tried yet */
};

static struct maps maps_read(pid_t pid, const struct unseen *unseen)
{
    struct maps ret = {0};
    FILE *stream = proc_open(pid, "maps");
    char *line = NULL;
    size_t room = 0;
    while (stream && getline(&line, &room, stream) > 0) {
        const char *mark = strstr(line, MALLOCTAP_UNRECORDED);
        ret.tap |= strstr(line, unseen->library) != NULL;
        ret.libc |= strstr(line, "/libc") != NULL;
        ret.recording |= strstr(line, " rw-s ") && strstr(line, unseen->stem);
        if (mark)
            ret.error = atoi(mark + strlen(MALLOCTAP_UNRECORDED));
    }
    free(line);
    if (stream)
        fclose(stream);
    return ret;
}

/* What the tap is there for shows as soon as the first call is made. */
static void sight_decide_tapped(struct sight *sight, const struct maps *maps)
{
    sight->verdict = maps->error ? UNRECORDED : maps->recording ? RECORDED : UNDECIDED;
    sight->why = maps->error ? strerrordesc_np(maps->error) : NULL;
}

/* Just after exec the loader has not mapped anything yet. The environment is there, and the tap
 * comes before the C library in link order: once that is mapped, the loader has decided. Not so in
 * a static program that is a loader itself, as valgrind's are: the tap may still come. */
static void sight_decide(struct sight *sight, const struct unseen *unseen)
{
    char path[64], now[PATH_MAX];
    struct elf_facts facts;
    struct maps maps = maps_read(sight->pid, unseen);
    if (maps.tap) {
        sight_decide_tapped(sight, &maps);
        return;
    }
    snprintf(path, sizeof path, "/proc/%d/exe", (int)sight->pid);
    elf_facts_read(path, &facts);
    if (!facts.elf)
        return;
    sight->why = NULL;
    if (!facts.native)
        sight->why = "it is for another machine or word size";
    else if (!facts.interpreted)
        sight->why = "it is static";
    else if (environment_holds(sight->pid, unseen->library) == 0)
        sight->why = "it lost LD_PRELOAD";
    else if (maps.libc)
        sight->why = "the loader did not load the tap";
    /* Of one that has ended meanwhile all is empty. */
    if (sight->why && executable_read(sight->pid, now, sizeof now) == 0 &&
        strcmp(now, sight->path) == 0)
        sight->verdict = UNTAPPED;
}

static struct sight *sight_of(struct unseen *unseen, pid_t pid, const char *path)
{
    for (size_t i = 0; i < unseen->count; i++)
        if (unseen->sights[i].pid == pid && strcmp(unseen->sights[i].path, path) == 0)
            return &unseen->sights[i];
    unseen->sights = checked(realloc(unseen->sights, (unseen->count + 1) * sizeof *unseen->sights));
    struct sight *ret = &unseen->sights[unseen->count++];
    *ret = (struct sight){.pid = pid, .path = checked(strdup(path))};
    return ret;
}

static void process_look(struct unseen *unseen, pid_t pid)
{
    char path[PATH_MAX];
    int failed = executable_read(pid, path, sizeof path);
    bool hidden = failed && errno == EACCES;
    if (hidden && !name_read(pid, path, sizeof path))
        return;
    if (failed && !hidden)
        return; /* it has ended */
    struct sight *sight = sight_of(unseen, pid, path);
    if (hidden) {
        sight->verdict = UNTAPPED;
        sight->why = "it runs with other privileges";
    } else if (sight->verdict != RECORDED) {
        sight_decide(sight, unseen);
    }
}

/* ---- all of them ---------------------------------------------------------------------------- */

struct pids {
    pid_t *rows;
    size_t count;
};

static void pids_add(struct pids *pids, pid_t pid)
{
    pids->rows = checked(realloc(pids->rows, (pids->count + 1) * sizeof *pids->rows));
    pids->rows[pids->count++] = pid;
}

static void children_add(struct pids *pids, pid_t parent)
{
    char path[64], file[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *threads = opendir(path);
    if (!threads)
        return;
    for (struct dirent *thread; (thread = readdir(threads));) {
        if (thread->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "task/%s/children", thread->d_name);
        FILE *children = proc_open(parent, file);
        for (int pid; children && fscanf(children, "%d", &pid) == 1;)
            pids_add(pids, pid);
        if (children)
            fclose(children);
    }
    closedir(threads);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void events_drain(int events)
{
    char buffer[4096];
    while (events >= 0 && read(events, buffer, sizeof buffer) > 0)
        continue;
}

static void look(struct unseen *unseen)
{
    uint64_t start = now_ns();
    struct pids pids = {0};
    events_drain(unseen->events);
    pids_add(&pids, unseen->program);
    for (size_t i = 0; i < pids.count; i++) {
        process_look(unseen, pids.rows[i]);
        children_add(&pids, pids.rows[i]);
    }
    free(pids.rows);
    uint64_t end = now_ns(), longest = LAST_DELAY_MS * (uint64_t)NS_PER_MS;
    unseen->rest_ns = end + (end - start) * LOOK_SHARE;
    unseen->next_ns = end + unseen->delay_ns;
    unseen->delay_ns = unseen->delay_ns * 2 < longest ? unseen->delay_ns * 2 : longest;
}

void unseen_watch(struct unseen *unseen, int until)
{
    for (;;) {
        uint64_t now = now_ns();
        bool resting = now < unseen->rest_ns;
        if (!resting && now >= unseen->next_ns) {
            look(unseen);
            continue;
        }
        uint64_t wait_ns = (resting ? unseen->rest_ns : unseen->next_ns) - now;
        struct pollfd ready[] = {{.fd = until, .events = POLLIN},
                                 {.fd = resting ? -1 : unseen->events, .events = POLLIN}};
        if (poll(ready, 2, (int)(wait_ns / NS_PER_MS) + 1) > 0) {
            if (ready[0].revents)
                return;
            look(unseen);
        }
    }
}

void unseen_ended(struct unseen *unseen)
{
    if (!name_read(unseen->program, unseen->last_name, sizeof unseen->last_name))
        unseen->last_name[0] = '\0';
}

/* ---- what is said --------------------------------------------------------------------------- */

static bool recorded(const struct sight *sight, const struct output_recordings *recordings)
{
    for (size_t i = 0; i < recordings->count; i++)
        if (recordings->rows[i].pid == (uint32_t)sight->pid &&
            strcmp(recordings->rows[i].executable, sight->path) == 0)
            return true;
    return false;
}

/* The program is not where its last recording ends, and its name is another: it may have executed
 * something that lived too briefly to be looked at, or only have changed its name. */
static void renamed_print(const struct unseen *unseen, const struct output_recordings *recordings)
{
    const struct output_recording *last = output_of_process(recordings, unseen->program);
    if (last && !last->finished && *unseen->last_name && *last->name &&
        strcmp(unseen->last_name, last->name) != 0)
        say("the program was called %s at its end, and %s in its recording: if it became another "
            "program, that was not tapped, and is in no recording",
            unseen->last_name, last->name);
}

void unseen_print(const struct unseen *unseen, const struct output_recordings *recordings,
                  bool children)
{
    enum { NAMED = 3 };
    const struct sight *others[NAMED], *program = NULL;
    size_t other_count = 0;
    for (size_t i = 0; i < unseen->count; i++) {
        const struct sight *sight = &unseen->sights[i];
        bool missing = sight->verdict == UNTAPPED || sight->verdict == UNRECORDED;
        if (!missing || recorded(sight, recordings))
            continue;
        if (sight->pid == unseen->program)
            program = sight;
        else if (children && other_count++ < NAMED)
            others[other_count - 1] = sight;
    }
    if (program)
        say("the program became %s, which %s (%s): what it did is in no recording", program->path,
            program->verdict == UNTAPPED ? "was not tapped" : "could not create a recording",
            program->why);
    else
        renamed_print(unseen, recordings);
    if (!other_count)
        return;
    char names[NAMED * (PATH_MAX + 120)] = "";
    for (size_t i = 0, length = 0; i < other_count && i < NAMED; i++)
        length += (size_t)snprintf(
            names + length, sizeof names - length, "%s%s (pid %d: %s%s)", i ? ", " : "",
            others[i]->path, (int)others[i]->pid,
            others[i]->verdict == UNRECORDED ? "it could not create one: " : "", others[i]->why);
    say("%zu program%s that it started %s in no recording: %s%s", other_count,
        other_count == 1 ? "" : "s", other_count == 1 ? "is" : "are", names,
        other_count > NAMED ? ", ..." : "");
}
