/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <compiler.h>
#include <config/config.h>
#include <malloctap/recording.h>
#include <sys.h>
#include <text.h>

#include <signal.h>
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
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

static void read_directory(char *to, size_t size)
{
    long length = syscall(SYS_getcwd, to, size - 1);
    struct text text = {.to = to, .size = size, .length = length > 0 ? (size_t)length - 1 : 0};
    if (length > 0 && to[text.length - 1] != '/')
        text_add(&text, "/");
    to[text.length] = '\0';
}

/*
 * Attempt 0 is the plain name, for the process the options were meant for; a child, or one that
 * finds the name taken (it was executed by a process that has it), puts its pid in; further
 * attempts a number.
 */
static bool compose_name(struct file *file, unsigned attempt)
{
    struct text text = text_begin(file->path, sizeof file->path);
    uint64_t pid = (uint64_t)syscall(SYS_getpid);
    if (config.out[0] != '/')
        text_add(&text, file->directory);
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
    struct {
        uint64_t magic;
        uint64_t skipped[3];
        uint32_t state;
        uint32_t mode;
        uint32_t pid;
    } header; /* how malloctap_header begins */
    static_assert(offsetof(struct malloctap_header, state) == 32, "state");
    static_assert(offsetof(struct malloctap_header, pid) == 40, "pid");
    const size_t needed = sizeof header;
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

static bool identify(int fd, uint64_t *device, uint64_t *inode)
{
    struct stat status;
    if (syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) != 0)
        return false;
    *device = status.st_dev;
    *inode = status.st_ino;
    return true;
}

/* Growing past RLIMIT_FSIZE would raise SIGXFSZ in the program. */
static bool within_size_limit(uint64_t end)
{
    struct rlimit limit;
    return syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) != 0 ||
           limit.rlim_cur == RLIM_INFINITY || end <= limit.rlim_cur;
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

/* Whether the kernel can fill holes of a mapping and say when it cannot (since 5.14). */
static bool fills_holes;

/* EFAULT where touching the memory would have raised SIGBUS. */
bool file_fill(void *memory, uint64_t size)
{
    return !fills_holes || SYS_RETRY(syscall(SYS_madvise, memory, size, MADV_POPULATE_WRITE)) == 0;
}

/* Pages one by one: read ahead of the holes, the kernel would clear megabytes at the first touch.
 */
static void *map_file(int fd, uint64_t offset, uint64_t size)
{
    void *memory = sys_map(size, MAP_SHARED, fd, offset);
    if (memory != NULL)
        syscall(SYS_madvise, memory, size, MADV_RANDOM);
    return memory;
}

void file_let_go(void *memory, uint64_t size)
{
    if (fills_holes)
        syscall(SYS_madvise, memory, size, MADV_DONTNEED);
}

/* A hole at the end of the file. */
static bool lengthen(int fd, uint64_t end)
{
    if (within_size_limit(end))
        return syscall(SYS_ftruncate, fd, end) == 0;
    errno = EFBIG;
    return false;
}

static void *lengthen_and_map(int fd, uint64_t offset, uint64_t size, bool filled)
{
    bool there = filled ? allocate(fd, offset, size) : lengthen(fd, offset + size);
    return there ? map_file(fd, offset, size) : NULL;
}

/* Allocate the first `filled` bytes; map as many of the others as can be had, to be filled later
 * or, where this kernel cannot, allocated now. */
static void *map_with_holes(int fd, uint64_t filled, uint64_t *wanted)
{
    const uint64_t allocated_at_once = 1u << 20;
    if (!allocate(fd, 0, filled))
        return NULL;
    if (!within_size_limit(*wanted))
        *wanted = filled;
    void *memory = NULL;
    if (*wanted == filled || syscall(SYS_ftruncate, fd, *wanted) == 0)
        memory = map_file(fd, 0, *wanted);
    if (memory == NULL && *wanted > filled && syscall(SYS_ftruncate, fd, filled) == 0) {
        *wanted = filled;
        memory = map_file(fd, 0, filled);
    }
    if (memory == NULL)
        return NULL;
    fills_holes = syscall(SYS_madvise, memory, 4096, MADV_POPULATE_WRITE) == 0;
    uint64_t holes = *wanted - filled;
    if (fills_holes || holes == 0 || (holes <= allocated_at_once && allocate(fd, filled, holes)))
        return memory;
    sys_unmap((char *)memory + filled, holes);
    *wanted = filled;
    return syscall(SYS_ftruncate, fd, filled) == 0 ? memory : NULL;
}

/* A name beside /dev/null, say, is not what was meant. */
static bool is_device(const char *path)
{
    struct stat status;
    return syscall(SYS_newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode);
}

/* A file that is new by name, or -1; what was said of file_create(). */
static int create_named(struct file *file, bool child)
{
    bool explain = false;
    for (unsigned attempt = child ? 1 : 0; attempt < 1000; attempt++) {
        if (!compose_name(file, attempt)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = sys_open(file->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd >= 0 && explain)
            config_say(config.out, " exists; recording to ", file->path, NULL);
        if (fd >= 0 || errno != EEXIST)
            return fd;
        if (attempt > 0 || config.out[0] == '\0')
            continue;
        if (is_device(file->path)) {
            errno = EEXIST;
            return -1;
        }
        pid_t writer = writer_of(file->path);
        explain = writer == 0 && !config.fresh;
        if (!config.children && writer != 0 && writer != syscall(SYS_getpid)) {
            errno = 0;
            return -1;
        }
    }
    errno = EEXIST;
    return -1;
}

void *file_create(struct file *ret, bool child, uint64_t filled, uint64_t *size)
{
    /* A relative name is meant from where the first process was. */
    if (ret->directory[0] == '\0')
        read_directory(ret->directory, sizeof ret->directory);
    int fd = create_named(ret, child);
    if (fd < 0)
        return NULL;
    void *memory = NULL;
    if (identify(fd, &ret->device, &ret->inode))
        memory = map_with_holes(fd, filled, size);
    int error = errno;
    sys_close(fd);
    if (memory == NULL)
        syscall(SYS_unlinkat, AT_FDCWD, ret->path, 0);
    errno = error;
    return memory;
}

void *file_extend(const struct file *file, uint64_t offset, uint64_t size, bool filled)
{
    uint64_t device, inode;
    int fd = sys_open(file->path, O_RDWR | O_NOFOLLOW, 0);
    if (fd < 0)
        return NULL;
    void *memory = NULL;
    if (!identify(fd, &device, &inode) || device != file->device || inode != file->inode)
        errno = ESTALE;
    else
        memory = lengthen_and_map(fd, offset, size, filled || !fills_holes);
    int error = errno;
    sys_close(fd);
    errno = error;
    return memory;
}
