/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct link {
    struct link *next;
    struct product product;
};

struct store {
    struct link **buckets;
    size_t bucket_count; /* a power of two */
    size_t size;
};

static void *checked(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

struct store *store_create(void)
{
    struct store *store = checked(calloc(1, sizeof(*store)));
    store->bucket_count = 64;
    store->buckets = checked(calloc(store->bucket_count, sizeof(*store->buckets)));
    return store;
}

void store_destroy(struct store *store)
{
    for (size_t i = 0; i < store->bucket_count; i++) {
        for (struct link *link = store->buckets[i]; link != NULL;) {
            struct link *next = link->next;
            free(link->product.name);
            free(link->product.description);
            free(link);
            link = next;
        }
    }
    free(store->buckets);
    free(store);
}

static struct link **bucket(const struct store *store, uint32_t id)
{
    return &store->buckets[(id * 2654435761u >> 7) & (store->bucket_count - 1)];
}

static void grow(struct store *store)
{
    struct store larger = {.bucket_count = store->bucket_count * 2, .size = store->size};
    larger.buckets = checked(calloc(larger.bucket_count, sizeof(*larger.buckets)));
    for (size_t i = 0; i < store->bucket_count; i++) {
        for (struct link *link = store->buckets[i]; link != NULL;) {
            struct link *next = link->next;
            struct link **head = bucket(&larger, link->product.id);
            link->next = *head;
            *head = link;
            link = next;
        }
    }
    free(store->buckets);
    *store = larger;
}

struct product *store_put(struct store *store, uint32_t id, uint32_t price_cents, const char *name,
                          const char *description)
{
    if (store->size >= store->bucket_count)
        grow(store);
    struct link *link = checked(malloc(sizeof(*link)));
    link->product = (struct product){
        .id = id,
        .price_cents = price_cents,
        .name = checked(strdup(name)),
        .description = checked(strdup(description)),
    };
    struct link **head = bucket(store, id);
    link->next = *head;
    *head = link;
    store->size++;
    return &link->product;
}

struct product *store_get(const struct store *store, uint32_t id)
{
    for (struct link *link = *bucket(store, id); link != NULL; link = link->next)
        if (link->product.id == id)
            return &link->product;
    return NULL;
}

size_t store_size(const struct store *store)
{
    return store->size;
}
