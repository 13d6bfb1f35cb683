/* SPDX-License-Identifier: MIT */
/* sandbox_code.h - whether an object's code installs a filter of system calls. */
#ifndef PRELOAD_SANDBOX_CODE_H
#define PRELOAD_SANDBOX_CODE_H

#include <backend/linkage.h>
#include <config/config.h>

static inline enum config_sandbox sandbox_stricter(enum config_sandbox one,
                                                   enum config_sandbox other)
{
    return one > other ? one : other;
}

/* Of an object that calls some of `callers`, prctl() and syscall(): what it calls them for, as far
 * as the code shows; where that cannot be told, SANDBOX_YES. Not for two threads at once. */
enum config_sandbox sandbox_code_verdict(const struct linked_object *object,
                                         const char *const callers[], size_t count);

#endif
