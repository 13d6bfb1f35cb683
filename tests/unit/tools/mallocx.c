/* SPDX-License-Identifier: MIT */
/* Names of jemalloc's own. */
#include "mallocx.h"

#include <stdlib.h>

void *mallocx(size_t size, int flags)
{
    return malloc(size);
}

void dallocx(void *block, int flags)
{
}
