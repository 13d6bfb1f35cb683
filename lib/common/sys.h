/* SPDX-License-Identifier: MIT */
/*
 * sys.h - system calls for code that runs inside malloc.
 *
 * Through syscall(), because libc's own open(), close(), pwrite() and fallocate() are cancellation
 * points, and a thread must not be cancelled in the middle of an allocation; and because others
 * interpose functions such as mmap() and fstat(), and allocate in them. Errors are -1 and
 * errno, which callers save and restore. Interrupted calls are repeated.
 */
#ifndef COMMON_SYS_H
#define COMMON_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SYS_RETRY(call)                                                                            \
    ({                                                                                             \
        long sys_result_;                                                                          \
        do                                                                                         \
            sys_result_ = (call);                                                                  \
        while (sys_result_ == -1 && errno == EINTR);                                               \
        sys_result_;                                                                               \
    })

static inline int sys_open(const char *path, int flags, int mode)
{
    return (int)SYS_RETRY(syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode));
}

/* Never repeated: Linux releases the descriptor even when it reports EINTR. */
static inline void sys_close(int fd)
{
    syscall(SYS_close, fd);
}

static inline long sys_read(int fd, void *to, size_t size)
{
    return SYS_RETRY(syscall(SYS_read, fd, to, size));
}

static inline long sys_pread(int fd, void *to, size_t size, uint64_t offset)
{
    return SYS_RETRY(syscall(SYS_pread64, fd, to, size, offset));
}

static inline long sys_pwrite(int fd, const void *from, size_t size, uint64_t offset)
{
    return SYS_RETRY(syscall(SYS_pwrite64, fd, from, size, offset));
}

static inline int sys_fallocate(int fd, uint64_t offset, uint64_t size)
{
    return (int)SYS_RETRY(syscall(SYS_fallocate, fd, 0, offset, size));
}

static inline long sys_readlink(const char *path, char *to, size_t size)
{
    return syscall(SYS_readlinkat, AT_FDCWD, path, to, size);
}

static inline void *sys_map(size_t size, int flags, int fd, uint64_t offset)
{
    long memory = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    return memory == -1 ? NULL : (void *)memory;
}

static inline void *sys_map_anonymous(size_t size)
{
    return sys_map(size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Put memory of the process's own in place of what is mapped there. */
static inline void sys_map_over(void *memory, size_t size)
{
    syscall(SYS_mmap, memory, size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

static inline void sys_unmap(void *memory, size_t size)
{
    syscall(SYS_munmap, memory, size);
}

/* Write to a descriptor that may be a broken pipe, without the signal. */
static inline void sys_write_unsignalled(int fd, const void *from, size_t size)
{
    const uint64_t pipe_signal = 1ull << (SIGPIPE - 1);
    const struct timespec at_once = {0, 0};
    uint64_t before = 0;
    bool blocked = syscall(SYS_rt_sigprocmask, SIG_BLOCK, &pipe_signal, &before, 8) == 0;
    if (!blocked)
        return;
    long wrote = SYS_RETRY(syscall(SYS_write, fd, from, size));
    if (wrote == -1 && errno == EPIPE && !(before & pipe_signal))
        syscall(SYS_rt_sigtimedwait, &pipe_signal, NULL, &at_once, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
}

/* Read a small file (of /proc) whole; returns its length, NUL-terminated, or -1. */
static inline long sys_read_file(const char *path, char *to, size_t size)
{
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return -1;
    size_t length = 0;
    while (length + 1 < size) {
        long got = sys_read(fd, to + length, size - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    sys_close(fd);
    to[length] = '\0';
    return (long)length;
}

#endif
