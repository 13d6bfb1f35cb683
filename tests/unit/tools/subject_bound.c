/* SPDX-License-Identifier: MIT */
/* A program that takes jemalloc to be there. */
#include "mallocx.h"

int main(void)
{
    dallocx(mallocx(1, 0), 0);
    return 0;
}
