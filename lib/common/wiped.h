/* SPDX-License-Identifier: MIT */
/*
 * wiped.h - static memory that a fork child finds zeroed.
 *
 * A module that must not share its state with a parent process keeps it in one static struct marked
 * WIPED and valid when all zero. The start-up passes each to wipe_on_fork(). The kernel then zeroes
 * it in every child that gets a copy of the memory, a raw clone included; a vfork child shares the
 * memory and sees it as it is.
 */
#ifndef COMMON_WIPED_H
#define COMMON_WIPED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whole pages of .bss, so that the advice covers nothing else: 64 KiB is the largest page in use.
 */
#ifdef __x86_64__
#define WIPED_PAGE 4096
#else
#define WIPED_PAGE 65536
#endif
#define WIPED __attribute__((aligned(WIPED_PAGE)))

/* False where the kernel cannot do it (before 4.14, some sandboxes). */
static inline bool wipe_on_fork(void *memory, size_t size)
{
    return syscall(SYS_madvise, memory, size, MADV_WIPEONFORK) == 0;
}

#endif
