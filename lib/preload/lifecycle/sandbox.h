/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - may the program shut itself in after it started?
 *
 * A seccomp filter can make any system call deadly, and there is no way to ask about it that a
 * filter could not make deadly too. So where a program looks as if it might install one, the tap
 * makes no call after the start but what an allocator makes: it does not read threads' names and
 * the peak memory.
 */
#ifndef PRELOAD_SANDBOX_H
#define PRELOAD_SANDBOX_H

#include <stdbool.h>

/* True when the program or a library that is not the system's calls prctl() or syscall(), or
 * libseccomp is loaded. */
bool sandbox_possible(void);

#endif
