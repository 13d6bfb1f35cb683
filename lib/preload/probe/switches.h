/* SPDX-License-Identifier: MIT */
/*
 * switches.h - whether the calling thread lost its processor between two moments, without asking
 * the kernel.
 *
 * A thread's restartable sequences area (rseq(2), registered by the C library) names the critical
 * section that it is in. When the kernel takes the thread off its processor, or delivers a signal,
 * and finds it outside of that section, it clears the name: so says the kernel's own description of
 * `rseq_cs` in linux/rseq.h. So a section that is never entered is named, and looked for later.
 */
#ifndef PRELOAD_SWITCHES_H
#define PRELOAD_SWITCHES_H

#include <stdbool.h>

/* Find the areas. Until then, and where the C library has registered none, nothing is known. */
void switches_init(void);

/* Begin to watch the calling thread, if that is possible; later, whether it has surely been at work
 * on its processor all the time. False: it was off it, or a signal came, or there is no telling: no
 * area, or code in between that has sections of its own. A pair of these does not nest. */
bool switches_watch(void);
bool switches_ruled_out(void);

#endif
