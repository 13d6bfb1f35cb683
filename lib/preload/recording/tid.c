/* SPDX-License-Identifier: MIT */
#include "tid.h"

#include <sys.h>

#include <pthread.h>
#include <sys/prctl.h>

/* From pthread_self() to the word that holds the number; 0: not known, ask the kernel. */
static uintptr_t tid_distance;

/* No C library has a thread block larger than this. */
#define BLOCK_MAX 8192u

static uint32_t tid_asked(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

void tid_init(void)
{
#if defined(PR_GET_TID_ADDRESS) && defined(__GLIBC__)
    uint32_t *address = NULL;
    if (syscall(SYS_prctl, PR_GET_TID_ADDRESS, &address, 0, 0, 0) != 0)
        return;
    uintptr_t distance = (uintptr_t)address - (uintptr_t)pthread_self();
    if (distance != 0 && distance < BLOCK_MAX && *address == tid_asked())
        tid_distance = distance;
#endif
}

void tid_recheck(void)
{
    if (tid_current() != tid_asked())
        tid_distance = 0;
}

uint32_t tid_current(void)
{
    if (tid_distance == 0)
        return tid_asked();
    return *(const uint32_t *)((uintptr_t)pthread_self() + tid_distance);
}
