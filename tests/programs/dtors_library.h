/* SPDX-License-Identifier: MIT */
#ifndef PROGRAMS_DTORS_LIBRARY_H
#define PROGRAMS_DTORS_LIBRARY_H

/* One malloc, realloc and free a round, counted for the library's last words. */
void allocate_in_library(unsigned long rounds);

#endif
