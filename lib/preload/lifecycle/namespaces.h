/* SPDX-License-Identifier: MIT */
/*
 * namespaces.h - say that there was a second heap.
 *
 * Objects that dlmopen() or LD_AUDIT load into a namespace of their own have a C library of their
 * own there, and the tap stands in front of the first one's only.
 */
#ifndef PRELOAD_NAMESPACES_H
#define PRELOAD_NAMESPACES_H

/* At the start: remember what standard error is. */
void namespaces_begin(void);

/* At the end: say so if there are others, unless standard error is by now something else. */
void namespaces_tell(void);

#endif
