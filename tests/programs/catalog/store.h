/* SPDX-License-Identifier: MIT */
/* store.h - the products themselves, by number. */
#ifndef CATALOG_STORE_H
#define CATALOG_STORE_H

#include <stddef.h>
#include <stdint.h>

struct product {
    uint32_t id;
    uint32_t price_cents;
    uint64_t views;
    char *name;
    char *description;
};

struct store;

struct store *store_create(void);
void store_destroy(struct store *store);

/* Add a product; the texts are copied. The store owns what it returns. */
struct product *store_put(struct store *store, uint32_t id, uint32_t price_cents, const char *name,
                          const char *description);

/* NULL: no such product. */
struct product *store_get(const struct store *store, uint32_t id);
size_t store_size(const struct store *store);

#endif
