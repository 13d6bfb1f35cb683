/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <compiler.h>
#include <config/config.h>
#include <malloctap/recording.h>
#include <sys.h>
#include <text.h>

#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#define SUFFIX ".mtap"

/* The name the program was started by: a script's own name, python3 rather than python3.11. */
static void program_name(char *to, size_t size)
{
    char link[4096];
    const char *path = (const char *)getauxval(AT_EXECFN);
    if (path != NULL && !strcmp(path, "/proc/self/exe")) {
        long length = sys_readlink(path, link, sizeof link - 1);
        link[length > 0 ? length : 0] = '\0';
        path = link;
    }
    struct text text = text_begin(to, size);
    text_add(&text, path && path[0] ? text_basename(path) : "program");
}

static void add_directory(struct text *text)
{
    char directory[4096];
    if (syscall(SYS_getcwd, directory, sizeof directory) > 0) {
        text_add(text, directory);
        if (strcmp(directory, "/") != 0)
            text_add(text, "/");
    }
}

/*
 * Attempt 0 is the plain name, for the process the options were meant for; a child, or one that
 * finds the name taken (it was executed by a process that has it), puts its pid in; further
 * attempts a number.
 */
static bool compose_name(char *to, size_t size, unsigned attempt)
{
    struct text text = text_begin(to, size);
    uint64_t pid = (uint64_t)syscall(SYS_getpid);
    if (config.out[0] != '/')
        add_directory(&text);
    if (config.out[0] == '\0') {
        char program[256];
        program_name(program, sizeof program);
        text_add(&text, "malloctap.");
        text_add(&text, program);
        text_add(&text, ".");
        text_add_number(&text, pid);
    } else {
        size_t stem = strlen(config.out);
        bool suffixed =
            stem > strlen(SUFFIX) && !strcmp(config.out + stem - strlen(SUFFIX), SUFFIX);
        if (attempt == 0) {
            text_add(&text, config.out);
            return !text.cut;
        }
        text_add_bytes(&text, config.out, suffixed ? stem - strlen(SUFFIX) : stem);
        text_add(&text, ".");
        text_add_number(&text, pid);
    }
    if (attempt > 1) {
        text_add(&text, ".");
        text_add_number(&text, attempt);
    }
    text_add(&text, SUFFIX);
    return !text.cut;
}

/* The process that is still writing the recording at `path`; 0 if there is none. When this program
 * was executed by it (or in it), a name of its own is what the user expects. */
static pid_t writer_of(const char *path)
{
    struct malloctap_header header;
    const size_t needed = offsetof(struct malloctap_header, lost);
    int fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return 0;
    long got = sys_read(fd, &header, needed);
    sys_close(fd);
    if (got != (long)needed || header.magic != MALLOCTAP_MAGIC ||
        header.state != MALLOCTAP_STATE_RUNNING || syscall(SYS_kill, (pid_t)header.pid, 0) != 0)
        return 0;
    return (pid_t)header.pid;
}

static bool identify(int fd, struct file *ret)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    ret->device = status.st_dev;
    ret->inode = status.st_ino;
    return true;
}

bool file_create(struct file *ret, bool child)
{
    bool explain = false;
    for (unsigned attempt = child ? 1 : 0; attempt < 1000; attempt++) {
        if (!compose_name(ret->path, sizeof ret->path, attempt)) {
            errno = ENAMETOOLONG;
            return false;
        }
        int fd = sys_open(ret->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd < 0 && errno != EEXIST)
            return false;
        if (fd >= 0) {
            bool identified = identify(fd, ret);
            sys_close(fd);
            if (explain)
                config_say(config.out, " exists; recording to ", ret->path, NULL);
            return identified;
        }
        if (attempt > 0 || config.out[0] == '\0')
            continue;
        pid_t writer = writer_of(ret->path);
        explain = writer == 0;
        if (!config.children && writer != 0 && writer != syscall(SYS_getpid)) {
            errno = 0;
            return false;
        }
    }
    errno = EEXIST;
    return false;
}

/* Growing past RLIMIT_FSIZE would raise SIGXFSZ in the program. */
static bool within_size_limit(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           end <= limit.rlim_cur;
}

/* For filesystems without fallocate: write zeros, which allocates as well. */
static bool write_zeros(int fd, uint64_t offset, uint64_t size)
{
    static const char zeros[4096];
    for (uint64_t done = 0; done < size; done += sizeof zeros) {
        long wrote = sys_pwrite(fd, zeros, sizeof zeros, offset + done);
        if (wrote != (long)sizeof zeros) {
            if (wrote >= 0)
                errno = ENOSPC;
            return false;
        }
    }
    return true;
}

static bool allocate(int fd, uint64_t offset, uint64_t size)
{
    if (!within_size_limit(offset + size)) {
        errno = EFBIG;
        return false;
    }
    if (sys_fallocate(fd, offset, size) == 0)
        return true;
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return false;
    return write_zeros(fd, offset, size);
}

void *file_extend(const struct file *file, uint64_t offset, uint64_t size)
{
    int fd = sys_open(file->path, O_RDWR | O_NOFOLLOW, 0);
    if (fd < 0)
        return NULL;
    void *memory = MAP_FAILED;
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_dev != file->device || status.st_ino != file->inode)
        errno = ESTALE;
    else if (allocate(fd, offset, size))
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    int error = errno;
    sys_close(fd);
    errno = error;
    return memory == MAP_FAILED ? NULL : memory;
}
