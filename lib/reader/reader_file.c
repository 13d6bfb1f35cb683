/* SPDX-License-Identifier: MIT */
#include "reader_file.h"

#include "reader_packed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a longer path only the end is shown, so that the message itself always fits. */
#define ERROR_PATH_MAX 200

__attribute__((format(printf, 3, 0))) static void
error_set_va(struct malloctap_error *error, const char *path, const char *format, va_list args)
{
    size_t length = strlen(path);
    bool cut = length > ERROR_PATH_MAX;
    int written = snprintf(error->text, sizeof(error->text), "%s%s: ", cut ? "..." : "",
                           cut ? path + length - ERROR_PATH_MAX : path);
    vsnprintf(error->text + written, sizeof(error->text) - (size_t)written, format, args);
    for (char *c = error->text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?'; /* a file may be named anything; the error is one line */
    }
}

int reader_error_set(struct malloctap_error *error, const char *path, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        error_set_va(error, path, format, args);
        va_end(args);
    }
    return -1;
}

void reader_file_fail(struct reader_file *file, const char *format, ...)
{
    if (file->failed)
        return;
    file->failed = true;
    va_list args;
    va_start(args, format);
    error_set_va(&file->failure, file->path, format, args);
    va_end(args);
}

/* Open without being held up by a FIFO or taking over a terminal, and only a regular file. */
static int open_regular(const char *path, struct malloctap_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return reader_error_set(error, path,
                                "cannot be opened (%s); check the path and that you "
                                "may read it",
                                strerror(errno));
    }
    struct stat status;
    if (fstat(fd, &status) != 0) {
        reader_error_set(error, path, "cannot be examined (%s); copy it to a local disk",
                         strerror(errno));
        close(fd);
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        reader_error_set(error, path, "not a recording (%s); name a file made by 'malloctap run'",
                         S_ISDIR(status.st_mode) ? "it is a directory" : "not a regular file");
        close(fd);
        return -1;
    }
    return fd;
}

/* Take over the compressed form of a recording, if the file is one. */
static int open_packed(struct reader_file *file, struct malloctap_error *error)
{
    uint8_t first[4];
    ssize_t got = pread(file->fd, first, sizeof(first), 0);
    if (got < 0 || !reader_packed_is(first, (size_t)got))
        return 0;
    return reader_packed_open(file->fd, file->path, &file->packed, error);
}

int reader_file_open(const char *path, struct reader_file **ret, struct malloctap_error *error)
{
    int fd = open_regular(path, error);
    if (fd < 0)
        return -1;
    struct reader_file *file = calloc(1, sizeof(*file));
    char *own_path = strdup(path);
    if (file == NULL || own_path == NULL) {
        free(file);
        free(own_path);
        close(fd);
        return reader_error_set(error, path, "out of memory; close other programs");
    }
    file->fd = fd;
    file->path = own_path;
    if (open_packed(file, error) != 0) {
        reader_file_close(file);
        return -1;
    }
    *ret = file;
    return 0;
}

void reader_file_close(struct reader_file *file)
{
    reader_packed_close(file->packed);
    close(file->fd);
    free(file->path);
    free(file);
}

static ssize_t read_some(struct reader_file *file, uint64_t offset, void *buffer, size_t size)
{
    return file->packed != NULL ? reader_packed_read(file->packed, offset, buffer, size)
                                : pread(file->fd, buffer, size, (off_t)offset);
}

bool reader_file_read(struct reader_file *file, uint64_t offset, void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read_some(file, offset + done, (char *)buffer + done, size - done);
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            reader_file_fail(file,
                             "truncated while it was read (ends before offset %" PRIu64
                             "); copy the whole recording again",
                             offset + size);
            return false;
        } else if (errno == EBADMSG) {
            reader_file_fail(file,
                             "damaged (what was at offset %" PRIu64
                             " cannot be uncompressed); take "
                             "it from a backup",
                             offset + done);
            return false;
        } else if (errno != EINTR) {
            reader_file_fail(file, "cannot be read (%s at offset %" PRIu64 "); check the disk",
                             strerror(errno), offset + done);
            return false;
        }
    }
    return true;
}

bool reader_file_size(struct reader_file *file, uint64_t *ret)
{
    struct stat status;
    if (file->packed != NULL) {
        *ret = reader_packed_size(file->packed);
        return true;
    }
    if (fstat(file->fd, &status) != 0) {
        reader_file_fail(file, "cannot be examined (%s); copy it to a local disk", strerror(errno));
        return false;
    }
    *ret = (uint64_t)status.st_size;
    return true;
}
