/* SPDX-License-Identifier: MIT */
/*
 * seen_syscall.c - memory that comes and goes by direct system calls goes through libc instead,
 * where the thread sanitizer sees it: else it takes two threads that were given one address after
 * the other for a race. Linked with --wrap=syscall.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
    long argument[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_mmap)
        return (long)mmap((void *)argument[0], (size_t)argument[1], (int)argument[2],
                          (int)argument[3], (int)argument[4], argument[5]);
    if (number == SYS_munmap)
        return munmap((void *)argument[0], (size_t)argument[1]);
    return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                          argument[5]);
}
