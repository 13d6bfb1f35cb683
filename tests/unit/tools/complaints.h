/* SPDX-License-Identifier: MIT */
/* complaints.h - catch what is said on stderr. */
#ifndef TESTS_COMPLAINTS_H
#define TESTS_COMPLAINTS_H

/* From now on stderr goes to memory ... */
void complaints_catch(void);

/* ... until now. Valid until the next catch. */
const char *complaints_caught(void);

#endif
