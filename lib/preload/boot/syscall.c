/* SPDX-License-Identifier: MIT */
/* syscall(), past whoever stands in front of the C library's: one that allocates would come back in
 * the middle of everything, the built-in allocator included. */
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

static long call_kernel(long number, const long *arguments)
{
#if defined __x86_64__
    long result;
    register long fourth __asm__("r10") = arguments[3];
    register long fifth __asm__("r8") = arguments[4];
    register long sixth __asm__("r9") = arguments[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]),
                       "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
#elif defined __aarch64__
    register long kind __asm__("x8") = number;
    register long first __asm__("x0") = arguments[0];
    register long second __asm__("x1") = arguments[1];
    register long third __asm__("x2") = arguments[2];
    register long fourth __asm__("x3") = arguments[3];
    register long fifth __asm__("x4") = arguments[4];
    register long sixth __asm__("x5") = arguments[5];
    __asm__ volatile("svc 0"
                     : "+r"(first)
                     : "r"(kind), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory");
    return first;
#else
#error "how are system calls made here?"
#endif
}

/* As many as any call takes; those that were not passed are not looked at. */
long syscall(long number, ...)
{
    enum { LARGEST_ERROR = 4095 };
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    long result = call_kernel(number, arguments);
    if (result >= 0 || result < -LARGEST_ERROR)
        return result;
    errno = (int)-result;
    return -1;
}
