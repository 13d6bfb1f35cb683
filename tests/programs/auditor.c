/* SPDX-License-Identifier: MIT */
/* auditor - a library for LD_AUDIT that only watches: the loader gives it a C library of its own. */
#include <link.h>

unsigned int la_version(unsigned int version)
{
    return version;
}
