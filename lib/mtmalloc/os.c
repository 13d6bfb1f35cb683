/* SPDX-License-Identifier: MIT */
/* os.c - system calls through syscall(): no cancellation points, and nobody's wrapper in between.
 */
#include "os.h"

#include <sys.h>

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <time.h>

void *mt_os_map(size_t size)
{
    int error = errno;
    long memory =
        syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
    errno = error;
    return memory == -1 ? NULL : (void *)memory;
}

void mt_os_unmap(void *memory, size_t size)
{
    int error = errno;
    syscall(SYS_munmap, memory, size);
    errno = error;
}

bool mt_os_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    int error = errno;
    struct timespec limit = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                             .tv_nsec = (long)(timeout_ns % 1000000000u)};
    long result =
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns != 0 ? &limit : NULL);
    errno = error;
    return result == 0;
}

bool mt_os_wake(const uint32_t *word)
{
    int error = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
    errno = error;
    return woken > 0;
}

void mt_os_barrier_prepare(void)
{
    int error = errno;
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    errno = error;
}

bool mt_os_barrier(void)
{
    int error = errno;
    long result = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    errno = error;
    return result == 0;
}

uint64_t mt_os_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Sum of the ranges in a list like "0-3,8,10-11"; 0 if it is none. */
static unsigned count_in_list(const char *list)
{
    unsigned count = 0;
    while (*list >= '0' && *list <= '9') {
        unsigned bounds[2] = {0, 0};
        for (int i = 0; i < 2; i++) {
            while (*list >= '0' && *list <= '9')
                bounds[i] = bounds[i] * 10 + (unsigned)(*list++ - '0');
            if (i == 0 && *list == '-')
                list++;
            else if (i == 0)
                bounds[++i] = bounds[0];
        }
        if (bounds[1] < bounds[0])
            return 0;
        count += bounds[1] - bounds[0] + 1;
        if (*list == ',')
            list++;
    }
    return count;
}

/* Not sysconf(): it may allocate. */
unsigned mt_os_processors(void)
{
    int error = errno;
    char list[512];
    unsigned count = 0;
    if (sys_read_file("/sys/devices/system/cpu/present", list, sizeof list) > 0)
        count = count_in_list(list);
    if (count == 0) { /* no /sys: those that this thread may run on */
        uint64_t mask[128];
        long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
        for (long i = 0; i < bytes / 8; i++)
            count += (unsigned)__builtin_popcountll(mask[i]);
    }
    errno = error;
    return count != 0 ? count : 1;
}

size_t mt_os_page_size(void)
{
    return getauxval(AT_PAGESZ);
}

void mt_os_say(const char *line, size_t length)
{
    int error = errno;
    while (length > 0) {
        long written = SYS_RETRY(syscall(SYS_write, 2, line, length));
        if (written <= 0)
            break;
        line += written;
        length -= (size_t)written;
    }
    errno = error;
}

void mt_os_abort(const char *line, size_t length)
{
    mt_os_say(line, length);
    abort();
}
