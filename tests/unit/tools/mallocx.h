/* SPDX-License-Identifier: MIT */
#ifndef TESTS_MALLOCX_H
#define TESTS_MALLOCX_H

#include <stddef.h>

void *mallocx(size_t size, int flags);
void dallocx(void *block, int flags);

#endif
