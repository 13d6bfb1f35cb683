/* SPDX-License-Identifier: MIT */
/* A program to be looked at, linked in several ways. */
#include <stdlib.h>

int main(void)
{
    free(malloc(1));
    return 0;
}
