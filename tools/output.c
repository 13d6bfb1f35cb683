/* SPDX-License-Identifier: MIT */
#include "output.h"

#include "options.h"

#include <malloctap/reader.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".mtap";

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- before the run ------------------------------------------------------------------------- */

static int directory_resolve(const char *file, char *ret, char *message, size_t size)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", file);
    const char *directory = dirname(copy);
    if (!realpath(directory, ret)) {
        snprintf(message, size, "%s: directory %s: %s; create it, or write elsewhere with -o", file,
                 directory, strerror(errno));
        return -1;
    }
    return 0;
}

/* A recording begins with so much; what a full disk has no room for later is counted in it. */
#define FIRST_BYTES (64u << 10)

/* Not by its permissions: what they allow may still fail. */
static int directory_try(const char *directory, char *message, size_t size)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/.malloctap.XXXXXX", directory);
    int file = mkostemp(path, O_CLOEXEC), error = errno;
    if (file >= 0) {
        /* A limit on the size of files is the recording's to cope with. */
        void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
        bool full = fallocate(file, 0, 0, FIRST_BYTES) < 0 && (errno == ENOSPC || errno == EDQUOT);
        error = full ? errno : 0;
        signal(SIGXFSZ, before);
        unlink(path);
        close(file);
    }
    if (error)
        snprintf(message, size,
                 "%s: no recording can be written there: %s; write elsewhere with "
                 "-o FILE",
                 directory, strerror(error));
    return error ? -1 : 0;
}

/* Not through a symbolic link: that would remove what the link's owner, not the user, has named. */
static bool is_recording(const char *path)
{
    uint64_t magic = 0;
    struct stat status;
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return false;
    bool ret = fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
               read(file, &magic, sizeof magic) == sizeof magic && magic == MALLOCTAP_MAGIC;
    close(file);
    return ret;
}

/* The process that is still writing the recording; 0: none is. */
static uint32_t writer_of(const char *path)
{
    struct malloctap_recording *recording;
    struct malloctap_error unreadable;
    if (malloctap_recording_open(path, &recording, &unreadable))
        return 0;
    const struct malloctap_header *header = malloctap_recording_header(recording);
    bool ended =
        header->state == MALLOCTAP_STATE_FINISHED || malloctap_recording_orphaned(recording);
    uint32_t pid = ended ? 0 : header->pid;
    malloctap_recording_close(recording);
    return pid;
}

static int way_clear(const char *path, bool force, char *message, size_t size)
{
    struct stat status;
    uint32_t writer;
    if (lstat(path, &status))
        return 0;
    if (S_ISDIR(status.st_mode))
        snprintf(message, size, "%s: is a directory; name a file in it: -o %s/run.mtap", path,
                 path);
    else if (!is_recording(path))
        snprintf(message, size, "%s: exists and is no recording, so it stays; choose another name",
                 path);
    else if (!force)
        snprintf(message, size, "%s: exists; -f replaces it, or choose another name", path);
    else if ((writer = writer_of(path)))
        snprintf(message, size, "%s: process %u is still writing it; choose another name", path,
                 writer);
    else if (unlink(path))
        snprintf(message, size, "%s: cannot be replaced: %s; choose another name", path,
                 strerror(errno));
    else
        return 0;
    return -1;
}

/* The preload object has this much room for the path, and a child's adds its pid. */
enum { OUTPUT_MAX = 1000 };

int output_prepare(struct tap *tap, const char *file, const char *program, bool force,
                   char *message, size_t size)
{
    char directory[PATH_MAX], own[NAME_MAX + 1];
    tap->output_takes_pid = !file;
    if (file && (!*file || file[strlen(file) - 1] == '/')) {
        snprintf(message, size, "-o '%s': is no file name; name a file: -o run.mtap", file);
        return -1;
    }
    /* A program's name and a pid must fit one file name; one that was given must fit as it is. */
    snprintf(own, sizeof own, "malloctap.%.200s", file_name(program));
    const char *name = file ? file_name(file) : own;
    if (directory_resolve(file ? file : name, directory, message, size))
        return -1;
    int length = snprintf(tap->output, sizeof tap->output, "%s/%s",
                          strcmp(directory, "/") == 0 ? "" : directory, name);
    if (length >= OUTPUT_MAX || strlen(name) > NAME_MAX) {
        snprintf(
            message, size,
            "%s: too long a name, or longer than %d bytes with its directory; choose a shorter "
            "one with -o",
            name, OUTPUT_MAX);
        return -1;
    }
    if ((file && way_clear(tap->output, force, message, size)) ||
        directory_try(directory, message, size))
        return -1;
    tap_set(tap, "fresh", "yes"); /* children need not explain why they record beside it */
    return 0;
}

/* ---- after the run -------------------------------------------------------------------------- */

size_t output_stem(const char *name)
{
    size_t length = strlen(name), tail = sizeof suffix - 1;
    return length > tail && strcmp(name + length - tail, suffix) == 0 ? length - tail : length;
}

/* Is `name` the recording `stem`.mtap or one of its children's: `stem`.PID.mtap, or with a further
 * number where a process executed several programs? */
static bool belongs(const char *name, const char *first, size_t stem)
{
    if (strcmp(name, first) == 0)
        return true;
    if (strncmp(name, first, stem) != 0)
        return false;
    const char *rest = name + stem;
    size_t numbers = 0;
    while (*rest == '.' && isdigit((unsigned char)rest[1])) {
        rest += 1 + strspn(rest + 1, "0123456789");
        numbers++;
    }
    return numbers > 0 && strcmp(rest, suffix) == 0;
}

/* Where a process ended, what it had not used yet of its recording is a hole at the file's end,
 * which would make it look larger than it is, and be copied as such. */
static void trim(const char *path, const struct malloctap_header *header)
{
    uint64_t end = header->header_size;
    struct stat status;
    for (uint32_t i = 0; i < header->extent_count && i < MALLOCTAP_EXTENTS_MAX; i++) {
        const struct malloctap_extent *extent = &header->extents[i];
        if (extent->kind != 0 && extent->offset + extent->size > end)
            end = extent->offset + extent->size;
    }
    if (stat(path, &status) == 0 && (uint64_t)status.st_size > end && truncate(path, (off_t)end))
        say("%s: cannot be cut to its length: %s", path, strerror(errno));
}

static void recording_add(struct output_recordings *all, const char *path, uint64_t since_ns)
{
    struct malloctap_recording *recording;
    if (malloctap_recording_open(path, &recording, NULL))
        return;
    const struct malloctap_header *header = malloctap_recording_header(recording);
    if (header->start_realtime_ns >= since_ns) {
        struct malloctap_counters totals;
        struct malloctap_thread_slot first = {0};
        uint64_t position = 0;
        malloctap_recording_totals(recording, &totals);
        if (malloctap_recording_next_thread(recording, &position, &first) && first.thread != 1)
            first.name[0] = '\0';
        struct output_recording row = {
            .path = strdup(path),
            .executable = strdup(header->executable),
            .program = program_name(header),
            .pid = header->pid,
            .finished = header->state == MALLOCTAP_STATE_FINISHED,
            .running = header->state == MALLOCTAP_STATE_RUNNING &&
                       !malloctap_recording_orphaned(recording),
            .start_ns = header->start_realtime_ns,
            .peak_rss_bytes = header->peak_rss_bytes,
            .children_unrecorded = header->children_unrecorded,
        };
        snprintf(row.name, sizeof row.name, "%.15s", first.name);
        for (int op = 0; op < MALLOCTAP_OPS; op++)
            row.calls += malloctap_counters_calls(&totals, (enum malloctap_op)op);
        for (int op = 0; op < MALLOCTAP_OPS_ALLOC; op++)
            row.bytes_requested += totals.bytes[op];
        all->rows = realloc(all->rows, (all->count + 1) * sizeof *all->rows);
        if (!all->rows || !row.path || !row.executable)
            abort();
        all->rows[all->count++] = row;
        if (!row.running)
            trim(path, header);
    }
    malloctap_recording_close(recording);
}

static int more_calls_first(const void *a, const void *b)
{
    const struct output_recording *left = a, *right = b;
    return (left->calls < right->calls) - (left->calls > right->calls);
}

void output_find(const char *path, uint64_t since_ns, struct output_recordings *ret)
{
    *ret = (struct output_recordings){0};
    char copy[PATH_MAX], found[2 * PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    const char *first = file_name(path), *directory = dirname(copy);
    size_t stem = output_stem(first);
    DIR *listing = opendir(directory);
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));)
        if (belongs(entry->d_name, first, stem)) {
            snprintf(found, sizeof found, "%s/%s", directory, entry->d_name);
            recording_add(ret, found, since_ns);
        }
    closedir(listing);
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof *ret->rows, more_calls_first);
}

void output_note_end(const struct output_recording *row, uint64_t at_ns)
{
    struct malloctap_recording *recording;
    if (row->finished || row->running || at_ns <= row->start_ns ||
        malloctap_recording_open(row->path, &recording, NULL))
        return;
    uint64_t ticks = malloctap_recording_ticks(recording, at_ns - row->start_ns);
    malloctap_recording_close(recording);
    int fd = open(row->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    off_t place = offsetof(struct malloctap_header, end_ticks);
    if (fd < 0 || pwrite(fd, &ticks, sizeof ticks, place) != (ssize_t)sizeof ticks)
        say("%s: when the process ended cannot be noted: %s", row->path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void output_recordings_deinit(struct output_recordings *recordings)
{
    for (size_t i = 0; i < recordings->count; i++) {
        free(recordings->rows[i].path);
        free(recordings->rows[i].executable);
    }
    free(recordings->rows);
    *recordings = (struct output_recordings){0};
}

const struct output_recording *output_of_process(const struct output_recordings *recordings,
                                                 pid_t pid)
{
    const struct output_recording *last = NULL;
    for (size_t i = 0; i < recordings->count; i++) {
        const struct output_recording *row = &recordings->rows[i];
        if (row->pid == (uint32_t)pid && (!last || row->start_ns > last->start_ns))
            last = row;
    }
    return last;
}
