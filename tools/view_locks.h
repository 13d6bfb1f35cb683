/* SPDX-License-Identifier: MIT */
/*
 * view_locks.h - the locks of an allocator that counts them, and the memory behind them: by kind of
 * lock, by list, by size of buffer.
 */
#ifndef TOOLS_VIEW_LOCKS_H
#define TOOLS_VIEW_LOCKS_H

#include "emit.h"

#include <malloctap/reader.h>

enum { VIEW_LOCKS_KINDS = 3, VIEW_LOCKS_SIZES = 32 };

/* The locks of one list. */
struct view_locks_list {
    uint32_t list;
    struct malloctap_lock_row parent;
    struct malloctap_lock_row caches; /* of all sizes */
};

/* Rows are sums; kind 0: there was none. */
struct view_locks {
    bool any;
    struct malloctap_lock_row kinds[VIEW_LOCKS_KINDS]; /* by kind - 1 */
    struct malloctap_lock_row sizes[VIEW_LOCKS_SIZES]; /* caches of buffers of 2^i bytes */
    struct view_locks_list *lists;
    size_t list_count;
};

void view_locks_create(const struct malloctap_recording *recording, struct view_locks *ret);
void view_locks_destroy(struct view_locks *locks);

/* Tables with a heading each; nothing where the allocator counts no locks. */
void view_locks_print_kinds(const struct view_locks *locks, FILE *out);
void view_locks_print_memory(const struct view_locks *locks, FILE *out);
void view_locks_print_lists(const struct view_locks *locks, FILE *out);

/* The same as arrays of objects; empty where nothing is counted. */
json_object *view_locks_kinds_json(const struct view_locks *locks);
json_object *view_locks_memory_json(const struct view_locks *locks);
json_object *view_locks_lists_json(const struct view_locks *locks);

#endif
