/* SPDX-License-Identifier: MIT */
/*
 * catalog - the example service: a product catalogue that reads everything at its start, then
 * answers.
 *
 *   catalog [--once] [PRODUCTS]
 *
 * Four loaders fill four partitions side by side. Each product arrives as a line of text; libfields
 * takes it apart, libstore keeps it, libwords indexes every word of its description. When all are
 * done it prints "ready" and answers "product NUMBER" and "word WORD" on standard input until that
 * ends; with --once it stops when ready.
 *
 * It is written the way such programs are: no pool, no lock of its own, every library with sane
 * looking code. What it shows, on two processors:
 *  - Ask where it allocates, and the store comes to mind: it holds the products. But four in five
 *    calls come from the index, which makes two short-lived copies of each word to normalise it.
 *  - The loaders share nothing but the allocator. If that has one lock, they stand in line at it.
 *  - Most blocks are texts of any length: an allocator that rounds up to powers of two needs
 * visibly more memory.
 */
#include "fields.h"
#include "store.h"
#include "words.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOADERS = 4, DESCRIPTION_WORDS = 48, LINE_SIZE = 1024 };

struct partition {
    pthread_t loader;
    uint32_t first_id;
    uint32_t products;
    struct store *store;
    struct words *words;
};

static const char *const vocabulary[] = {
    "Solid",   "oak",     "chairs",   "Table",   "lamps",    "Brushed", "steel",   "cotton",
    "Woven",   "baskets", "mirror",   "Ceramic", "bowls",    "Linen",   "covers",  "garden",
    "Bench",   "outdoor", "Storage",  "boxes",   "shelves",  "painted", "White",   "walnut",
    "Folding", "desk",    "Reading",  "light",   "Wool",     "rugs",    "natural", "Glass",
    "vases",   "copper",  "Kettles",  "kitchen", "knives",   "Board",   "bamboo",  "Towels",
    "bath",    "Mats",    "curtains", "velvet",  "Cushions", "sofas",   "Leather", "stool",
};
enum { VOCABULARY = sizeof(vocabulary) / sizeof(vocabulary[0]) };

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static char *append(char *at, const char *text)
{
    return stpcpy(stpcpy(at, text), " ");
}

/* One line of the product feed, as it would come from a file or the network. */
static void make_line(uint32_t id, char line[static LINE_SIZE])
{
    uint64_t state = id * 0x9e3779b97f4a7c15u + 1;
    char *at = line + sprintf(line, "id=%u;price=%u;name=", id, next_random(&state) % 100000);
    for (unsigned i = 0; i < 3; i++)
        at = append(at, vocabulary[next_random(&state) % VOCABULARY]);
    at = stpcpy(at, ";description=");
    for (uint32_t words = 12 + next_random(&state) % DESCRIPTION_WORDS; words > 0; words--)
        at = append(at, vocabulary[next_random(&state) % VOCABULARY]);
}

static void load_product(struct partition *partition, const char *line)
{
    struct field *fields = fields_parse(line);
    uint32_t id = (uint32_t)strtoul(fields_get(fields, "id"), NULL, 10);
    uint32_t price = (uint32_t)strtoul(fields_get(fields, "price"), NULL, 10);
    const char *description = fields_get(fields, "description");
    store_put(partition->store, id, price, fields_get(fields, "name"), description);
    words_add_text(partition->words, description, id);
    fields_free(fields);
}

static void *load_partition(void *argument)
{
    struct partition *partition = argument;
    char line[LINE_SIZE];
    partition->store = store_create();
    partition->words = words_create();
    for (uint32_t i = 0; i < partition->products; i++) {
        make_line(partition->first_id + i, line);
        load_product(partition, line);
    }
    return NULL;
}

static void start_up(struct partition partitions[static LOADERS], uint32_t products)
{
    for (uint32_t i = 0; i < LOADERS; i++) {
        partitions[i].products = products / LOADERS;
        partitions[i].first_id = i * (products / LOADERS);
        if (pthread_create(&partitions[i].loader, NULL, load_partition, &partitions[i]) != 0)
            abort();
    }
    for (uint32_t i = 0; i < LOADERS; i++)
        pthread_join(partitions[i].loader, NULL);
}

static void answer(struct partition partitions[static LOADERS], const char *request)
{
    unsigned id;
    char word[64];
    size_t count = 0;
    if (sscanf(request, "product %u", &id) == 1) {
        const struct product *product = store_get(partitions[0].store, id);
        for (uint32_t i = 1; i < LOADERS && product == NULL; i++)
            product = store_get(partitions[i].store, id);
        printf("%s\n", product != NULL ? product->name : "no such product");
    } else if (sscanf(request, "word %63s", word) == 1) {
        for (uint32_t i = 0; i < LOADERS; i++)
            count += words_count(partitions[i].words, word);
        printf("%zu\n", count);
    } else {
        printf("product NUMBER or word WORD\n");
    }
}

int main(int argc, char **argv)
{
    struct partition partitions[LOADERS] = {0};
    bool once = argc > 1 && strcmp(argv[1], "--once") == 0;
    const char *products = argv[1 + once];
    start_up(partitions, products != NULL ? (uint32_t)strtoul(products, NULL, 10) : 400000);

    setlinebuf(stdout);
    size_t size = 0;
    for (uint32_t i = 0; i < LOADERS; i++)
        size += store_size(partitions[i].store);
    printf("ready: %zu products\n", size);
    char request[128];
    while (!once && fgets(request, sizeof(request), stdin) != NULL)
        answer(partitions, request);

    for (uint32_t i = 0; i < LOADERS; i++) {
        store_destroy(partitions[i].store);
        words_destroy(partitions[i].words);
    }
    return 0;
}
