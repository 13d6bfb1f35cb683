/* SPDX-License-Identifier: MIT */
/*
 * strings.h - memcpy(), strcmp() and the like, past whoever stands in front of the C library's.
 *
 * The compiler calls these by itself, and others put functions of their own before them: the
 * runtimes of sanitizers check what is copied, take the recorder's races for the program's, and
 * must not be called before they have started. So this object brings its own. Those that large
 * blocks go through hand over to the C library's, once they are found.
 */
#ifndef PRELOAD_STRINGS_H
#define PRELOAD_STRINGS_H

/* Find the C library's. Before that they work too, byte by byte. */
void strings_init(void);

#endif
