/* SPDX-License-Identifier: MIT */
#include "live.h"

#include "os.h"

#include <string.h>

#define FIRST_BITS 8u

/* A table grows to twice its size when it has as many blocks as chains. Where there is no memory
 * for that, chains grow longer. */
static struct mt_block *first_chains[1u << FIRST_BITS];
static struct mt_block **chains = first_chains;
static unsigned bits = FIRST_BITS;
static size_t count;

static struct mt_block **chain_of(const void *p)
{
    uint64_t hash = (uintptr_t)p / MT_ALIGNMENT * 0x9e3779b97f4a7c15u;
    return &chains[hash >> (64 - bits)];
}

static void push(struct mt_block *block)
{
    struct mt_block **chain = chain_of(block->p);
    block->next = *chain;
    *chain = block;
}

static void grow(void)
{
    size_t old_size = (size_t)1 << bits;
    struct mt_block **old = chains, **new = mt_os_map(2 * old_size * sizeof *new);
    if (new == NULL)
        return;
    chains = new;
    bits++;
    for (size_t i = 0; i < old_size; i++)
        for (struct mt_block *block = old[i], *next; block != NULL; block = next) {
            next = block->next;
            push(block);
        }
    if (old != first_chains)
        mt_os_unmap(old, old_size * sizeof *old);
}

void mt_live_start_over(void)
{
    memset(first_chains, 0, sizeof first_chains);
    chains = first_chains;
    bits = FIRST_BITS;
    count = 0;
}

void mt_live_insert(struct mt_block *block)
{
    if (++count > (size_t)1 << bits)
        grow();
    push(block);
}

struct mt_block *mt_live_remove(const void *p)
{
    for (struct mt_block **at = chain_of(p); *at != NULL; at = &(*at)->next) {
        struct mt_block *block = *at;
        if (block->p == p) {
            *at = block->next;
            count--;
            return block;
        }
    }
    return NULL;
}
