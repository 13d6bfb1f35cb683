/* SPDX-License-Identifier: MIT */
#ifndef PROGRAMS_ONE_MUTEX_H
#define PROGRAMS_ONE_MUTEX_H

#define ONE_MUTEX_SITES 4u

/* What this thread waits for from now on is counted under this number. */
void one_mutex_site(unsigned number);

#endif
