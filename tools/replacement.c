/* SPDX-License-Identifier: MIT */
#include "replacement.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int replacement_fail(struct malloctap_error *error, const char *path, const char *format, ...)
{
    va_list args;
    int length = snprintf(error->text, sizeof error->text, "%.200s: ", path);
    va_start(args, format);
    vsnprintf(error->text + length, sizeof error->text - (size_t)length, format, args);
    va_end(args);
    return -1;
}

static int cannot_write(const struct replacement *replacement)
{
    return replacement_fail(replacement->error, replacement->out,
                            "cannot be written (%s); name another place with -o", strerror(errno));
}

int replacement_cannot_read(const struct replacement *replacement)
{
    return replacement_fail(replacement->error, replacement->path,
                            "cannot be read (%s); check the disk",
                            errno ? strerror(errno) : "it became shorter");
}

void replacement_init(struct replacement *replacement, const char *path, const char *out,
                      struct malloctap_error *error)
{
    *replacement =
        (struct replacement){.path = path, .out = out, .in = -1, .to = -1, .error = error};
}

void replacement_deinit(struct replacement *replacement)
{
    if (replacement->temporary && replacement->to >= 0)
        unlink(replacement->temporary);
    if (replacement->in >= 0)
        close(replacement->in);
    if (replacement->to >= 0)
        close(replacement->to);
    free(replacement->temporary);
}

/* ---- the files ------------------------------------------------------------------------------- */

int replacement_open_original(struct replacement *replacement, bool keep, uint32_t *magic)
{
    struct stat *status = &replacement->original;
    *magic = 0;
    if (!keep && lstat(replacement->path, status) == 0 && S_ISLNK(status->st_mode))
        return replacement_fail(
            replacement->error, replacement->path,
            "is a symbolic link; name the recording itself, or keep it with --keep");
    replacement->in = open(replacement->path, O_RDONLY | O_CLOEXEC);
    if (replacement->in < 0 || fstat(replacement->in, status) != 0 ||
        pread(replacement->in, magic, sizeof *magic, 0) < 0)
        return replacement_cannot_read(replacement);
    *magic = le32toh(*magic);
    return 0;
}

int replacement_create(struct replacement *replacement)
{
    if (access(replacement->out, F_OK) == 0)
        return replacement_fail(replacement->error, replacement->out,
                                "exists already; remove it, or name another with -o");
    if (asprintf(&replacement->temporary, "%s.XXXXXX", replacement->out) < 0) {
        replacement->temporary = NULL;
        return replacement_fail(replacement->error, replacement->out, "out of memory");
    }
    replacement->to = mkostemp(replacement->temporary, O_CLOEXEC);
    return replacement->to < 0 ? cannot_write(replacement) : 0;
}

int replacement_write(struct replacement *replacement, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t written = write(replacement->to, (const uint8_t *)bytes + done, size - done);
        if (written < 0 && errno != EINTR)
            return cannot_write(replacement);
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int replacement_skip(struct replacement *replacement, size_t size)
{
    return lseek(replacement->to, (off_t)size, SEEK_CUR) < 0 ? cannot_write(replacement) : 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* As gzip and xz do. Where the owner cannot be set, nobody else gets in. */
static int inherit(const struct replacement *replacement)
{
    const struct stat *original = &replacement->original;
    const struct timespec times[] = {original->st_atim, original->st_mtim};
    bool owned = fchown(replacement->to, original->st_uid, original->st_gid) == 0;
    if (fchmod(replacement->to, original->st_mode & (owned ? 0777 : 0700)) != 0 ||
        futimens(replacement->to, times) != 0)
        return cannot_write(replacement);
    return 0;
}

int replacement_finish(struct replacement *replacement, uint64_t size)
{
    if (ftruncate(replacement->to, (off_t)size) != 0)
        return cannot_write(replacement);
    if (inherit(replacement) < 0)
        return -1;
    return fsync(replacement->to) != 0 ? cannot_write(replacement) : 0;
}

/* Also the name must survive a crash before the original may go. */
static int sync_directory(const struct replacement *replacement)
{
    char *copy = strdup(replacement->out);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd >= 0 && fsync(fd) == 0 ? 0 : cannot_write(replacement);
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

int replacement_name(struct replacement *replacement)
{
    if (renameat2(AT_FDCWD, replacement->temporary, AT_FDCWD, replacement->out, RENAME_NOREPLACE) !=
            0 &&
        (errno != EINVAL || /* a simple file system */
         rename(replacement->temporary, replacement->out) != 0))
        return cannot_write(replacement);
    free(replacement->temporary);
    replacement->temporary = NULL;
    return sync_directory(replacement);
}
