/* SPDX-License-Identifier: MIT */
/*
 * mtmalloc_api.h - the allocator under names of its own, to live beside the process's malloc.
 *
 * Works from the first call on, before any constructor has run. Every function is safe from every
 * thread, leaves errno alone when it succeeds, and takes only pointers that came from here.
 * What the standard does not say (limits, errors): mtmalloc(3).
 */
#ifndef MTMALLOC_API_H
#define MTMALLOC_API_H

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stddef.h>

void *mtmalloc_malloc(size_t size);
void *mtmalloc_calloc(size_t count, size_t size);
void *mtmalloc_realloc(void *p, size_t size);
void *mtmalloc_reallocarray(void *p, size_t count, size_t size);
void mtmalloc_free(void *p);
void mtmalloc_free_sized(void *p, size_t size);
void mtmalloc_free_aligned_sized(void *p, size_t alignment, size_t size);
void *mtmalloc_memalign(size_t alignment, size_t size);
void *mtmalloc_aligned_alloc(size_t alignment, size_t size);
int mtmalloc_posix_memalign(void **ret, size_t alignment, size_t size);
void *mtmalloc_valloc(size_t size);
void *mtmalloc_pvalloc(size_t size);
size_t mtmalloc_usable_size(void *p);

/* Whether `p` points into memory of this allocator: any value may be asked about. Two loads. */
bool mtmalloc_owns(const void *p);

/* As in <malloctap/mtmalloc.h>. */
void mtmalloc_mallocctl(int cmd, long value);

/* Set an option by name: chunk=9...256, doublefree, debugpattern, initbuffer=0|1. 0, or -1 for an
 * unknown name or a bad value, which change nothing. */
int mtmalloc_option(const char *key, const char *value);

/* For pthread_atfork(): take every lock in order of rank, and release them in parent and child. */
void mtmalloc_fork_prepare(void);
void mtmalloc_fork_parent(void);
void mtmalloc_fork_child(void);

/*
 * Statistics: an array with a row for each parent lock, for the caches of each list and buffer
 * size, and for the oversize lock. Rows of kind 0 are not in use; there are gaps.
 *
 * Waits and the oversize row are exact at every moment. In the rows of parents and caches,
 * `acquisitions` and what is in use lag, for each cache by at most 512 buffers taken and as many
 * returned, and at most half of all. mtmalloc_stats_publish() makes up for it.
 */

/* Rows that the array must have. 0 while there is no memory to start with. */
size_t mtmalloc_stats_rows(void);

/*
 * Count in *where from now on, and move what was counted so far there. `where` must lie in memory
 * that a fork sets to NULL (MADV_WIPEONFORK), so that a child, also of a raw clone, does not count
 * into the array of its parent: it counts privately until *where is set again, to an array of its
 * own, which needs no other call. Takes every lock for a moment.
 *
 * The child of a fork with the functions above begins at zero; that of a raw clone may publish, as
 * its own, what its parent had not published yet.
 */
void mtmalloc_stats_attach(struct malloctap_lock_row *_Atomic *where);

/* Bring the rows up to date, but for a lock that cannot be had soon. Call it where the process
 * ends. */
void mtmalloc_stats_publish(void);

/* Copy up to `count` of the rows in use, up to date, with every lock held; returns how many there
 * are. */
size_t mtmalloc_stats_snapshot(struct malloctap_lock_row *ret, size_t count);

#endif
