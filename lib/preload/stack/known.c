/* SPDX-License-Identifier: MIT */
#include "known.h"

#include "table.h"

static void write_to(struct known_stack *known, uint64_t id, uint64_t check)
{
    __atomic_store_n(&known->check, check, __ATOMIC_RELAXED);
    __atomic_store_n(&known->id, id, __ATOMIC_RELEASE);
}

void known_add(void **table, uint64_t key, uint32_t id)
{
    struct known_stack *all = table_get(table, KNOWN_SIZE * sizeof(*all));
    if (all == NULL)
        return;
    struct known_stack *known = known_places(all, key);
    write_to(&known[1], __atomic_load_n(&known[0].id, __ATOMIC_ACQUIRE),
             __atomic_load_n(&known[0].check, __ATOMIC_RELAXED));
    write_to(&known[0], id, known_check(key, id));
}
