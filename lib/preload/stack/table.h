/* SPDX-License-Identifier: MIT */
/* table.h - anonymous memory for the stack side's tables, obtained on first use, never given back.
 */
#ifndef PRELOAD_STACK_TABLE_H
#define PRELOAD_STACK_TABLE_H

#include "compiler.h"

#include <stddef.h>

/* Zeroed pages straight from the kernel, NULL when there are none. */
void *table_map(size_t size);

void *table_make(void **slot, size_t size);

/* The table that *slot points to, made now if there is none yet. NULL when there is no memory. */
static inline void *table_get(void **slot, size_t size)
{
    /* Pairs with the release in table_publish(). */
    void *table = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    return likely(table != NULL) ? table : table_make(slot, size);
}

/* Make `table`, whose contents are complete, what *slot points to, if that still is `expected`;
 * otherwise give its memory back. Returns what *slot points to then. */
void *table_publish(void **slot, void *expected, void *table, size_t size);

#endif
