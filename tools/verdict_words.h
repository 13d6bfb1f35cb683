/* SPDX-License-Identifier: MIT */
/* verdict_words.h - a verdict as a sentence. */
#ifndef TOOLS_VERDICT_WORDS_H
#define TOOLS_VERDICT_WORDS_H

#include "verdict.h"

/* Time against memory: "mtmalloc: 9.8 s (33 %) faster for 4.0 GiB (33 %) more memory: 2.4 s a GiB",
 * that there is no difference to be seen, or that these runs cannot tell. "": the first backend. */
void verdict_words(const struct verdict *verdict, char *ret, size_t size);

/* How much of the threads' time the allocator has under the first backend: no other one can give
 * back more of it. */
void ceiling_words(const struct verdict *first, char *ret, size_t size);

#endif
