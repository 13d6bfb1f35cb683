/* SPDX-License-Identifier: MIT */
/*
 * getauxval(), past whoever stands in front of the C library's: it is asked where a malloc in it
 * would come back for ever. What it tells lies behind the environment on the initial stack.
 */
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <unistd.h>

/* glibc's, in the loader: argc, argv[], NULL, envp[], NULL, auxiliary vector. */
extern void *__libc_stack_end __attribute__((weak));

static const ElfW(auxv_t) * find_vector(void)
{
    char **variable = environ;
    if (&__libc_stack_end != NULL) {
        const long *argc = __libc_stack_end;
        variable = (char **)(argc + 1) + *argc + 1;
    }
    while (variable != NULL && *variable != NULL)
        variable++;
    return variable == NULL ? NULL : (const ElfW(auxv_t) *)(variable + 1);
}

unsigned long getauxval(unsigned long type)
{
    static const ElfW(auxv_t) * vector;
    const ElfW(auxv_t) *row = __atomic_load_n(&vector, __ATOMIC_RELAXED);
    if (row == NULL) {
        row = find_vector();
        __atomic_store_n(&vector, row, __ATOMIC_RELAXED);
    }
    for (; row != NULL && row->a_type != AT_NULL; row++)
        if (row->a_type == type)
            return row->a_un.a_val;
    errno = ENOENT;
    return 0;
}
