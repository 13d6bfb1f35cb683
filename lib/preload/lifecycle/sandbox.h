/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - will the program shut itself in after it started?
 *
 * A seccomp filter can make any system call deadly, and there is no way to ask about it that a
 * filter could not make deadly too. So where a program looks as if it might install one, the tap
 * makes no call after the start but what an allocator makes: it does not read threads' names and
 * the peak memory. What a program looks like is a guess; the option `sandbox` decides it.
 */
#ifndef PRELOAD_SANDBOX_H
#define PRELOAD_SANDBOX_H

#include <config/config.h>

#include <stdbool.h>

/*
 * As the option says. Where it leaves this open: SANDBOX_YES when libseccomp is loaded, or when the
 * program or a library that is not the system's calls prctl() or syscall() with the number of a
 * call that installs a filter in its code; SANDBOX_STRICT when it has that of the strict mode too.
 * A script that brings the number along is not noticed.
 */
enum config_sandbox sandbox_expected(void);

/* Of a program that did not look so at the start: may it be shut in by now? */
bool sandbox_since(void);

/* May it lock all that is mapped into memory, as far as its symbols show? */
bool sandbox_locks_memory(void);

#endif
