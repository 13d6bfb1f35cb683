/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <backend/linkage.h>

bool sandbox_possible(void)
{
    struct linked_object object;
    if (linkage_by_soname("libseccomp.so.2", &object))
        return true;
    if (!linkage_program(&object))
        return true;
    return linkage_imports(&object, "prctl") || linkage_imports(&object, "syscall") ||
           linkage_imports(&object, "seccomp_load");
}
