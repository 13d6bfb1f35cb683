/* SPDX-License-Identifier: MIT */
#include "table.h"

#include "compiler.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* System calls made directly: mmap and munmap of the C library may be interposed by the program,
 * and what is put in their place may allocate. */
void *table_map(size_t size)
{
    long address = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return address == -1 ? NULL : (void *)address;
}

void *table_publish(void **slot, void *expected, void *table, size_t size)
{
    /* Release: who acquires the pointer sees the contents. */
    if (__atomic_compare_exchange_n(slot, &expected, table, false, __ATOMIC_RELEASE,
                                    __ATOMIC_ACQUIRE))
        return table;
    syscall(SYS_munmap, table, size);
    return expected;
}

cold void *table_make(void **slot, size_t size)
{
    void *table = table_map(size);
    return table == NULL ? NULL : table_publish(slot, NULL, table, size);
}
