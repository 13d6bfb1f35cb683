/* SPDX-License-Identifier: MIT */
/* emit_utf8.h - any bytes made into valid UTF-8. */
#ifndef TOOLS_EMIT_UTF8_H
#define TOOLS_EMIT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* A copy in which each byte that is not part of valid UTF-8 is U+FFFD, and so is each control
 * character when `printable`. To be freed. */
char *utf8_repaired(const char *text, bool printable);

/* Number of code points of valid UTF-8: its width on a terminal, near enough for names. */
size_t utf8_width(const char *text);

#endif
