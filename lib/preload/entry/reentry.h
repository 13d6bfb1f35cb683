/* SPDX-License-Identifier: MIT */
/*
 * reentry.h - backends whose functions call one another by their public names.
 *
 * Some allocators make calloc() or realloc() of the public malloc() and free(), as musl does. Those
 * calls come here again and are part of one that is counted, so they are not counted themselves.
 */
#ifndef PRELOAD_REENTRY_H
#define PRELOAD_REENTRY_H

/* Have such a backend's functions marked while they run. To be called when the backend is chosen,
 * before any call is forwarded. */
void reentry_init(void);

#endif
