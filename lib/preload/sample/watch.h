/* SPDX-License-Identifier: MIT */
/*
 * watch.h - which threads are watched at every call.
 *
 * Where calls are rare every call is watched, and where some wait, also if they are less so. What
 * lost the processor is then recorded for sure, and stands for itself alone; all else is for those
 * that are drawn, as ever. So the waiting of such a thread is known, not estimated. Where many wait
 * samples tell enough, and to record each wait would be too much.
 *
 * It is chosen from one draw to the next, from what is past alone, so estimates stay unbiased.
 */
#ifndef PRELOAD_WATCH_H
#define PRELOAD_WATCH_H

#include <thread/thread.h>

/* A call has been recorded, drawn or only watched: did it wait? */
void watch_note(struct thread *thread, bool drawn, bool waited);

/* Whether the calls up to the next draw are to be watched, in thread->orders.watches. */
void watch_choose(struct thread *thread);

#endif
