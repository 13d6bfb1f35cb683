/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

/* One word and the products it was found in. */
struct entry {
    struct entry *next;
    char *word;
    uint32_t *ids;
    size_t count;
    size_t capacity;
};

struct words {
    struct entry *buckets[BUCKETS];
};

static void *checked(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

struct words *words_create(void)
{
    return checked(calloc(1, sizeof(struct words)));
}

void words_destroy(struct words *words)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct entry *entry = words->buckets[i]; entry != NULL;) {
            struct entry *next = entry->next;
            free(entry->word);
            free(entry->ids);
            free(entry);
            entry = next;
        }
    }
    free(words);
}

/* The lower-case copy of a word. */
static char *fold_case(const char *word, size_t length)
{
    char *folded = checked(malloc(length + 1));
    for (size_t i = 0; i < length; i++)
        folded[i] = (char)tolower((unsigned char)word[i]);
    folded[length] = '\0';
    return folded;
}

/* The word without its plural ending. */
static char *stem(const char *word)
{
    size_t length = strlen(word);
    if (length > 3 && word[length - 1] == 's')
        length--;
    char *stemmed = checked(malloc(length + 1));
    memcpy(stemmed, word, length);
    stemmed[length] = '\0';
    return stemmed;
}

static char *normalise(const char *word, size_t length)
{
    char *folded = fold_case(word, length);
    char *stemmed = stem(folded);
    free(folded);
    return stemmed;
}

static struct entry **find(struct words *words, const char *word)
{
    uint32_t hash = 2166136261u;
    for (const char *at = word; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    struct entry **entry = &words->buckets[hash % BUCKETS];
    while (*entry != NULL && strcmp((*entry)->word, word) != 0)
        entry = &(*entry)->next;
    return entry;
}

/* Takes over `word`. */
static struct entry *new_entry(char *word)
{
    struct entry *entry = checked(calloc(1, sizeof(*entry)));
    entry->word = word;
    return entry;
}

static void append(struct entry *entry, uint32_t id)
{
    if (entry->count == entry->capacity) {
        entry->capacity = entry->capacity + entry->capacity / 2 + 4;
        entry->ids = checked(realloc(entry->ids, entry->capacity * sizeof(*entry->ids)));
    }
    entry->ids[entry->count++] = id;
}

static void add_word(struct words *words, const char *word, size_t length, uint32_t id)
{
    char *normal = normalise(word, length);
    struct entry **entry = find(words, normal);
    if (*entry == NULL)
        *entry = new_entry(normal);
    else
        free(normal);
    append(*entry, id);
}

void words_add_text(struct words *words, const char *text, uint32_t id)
{
    for (;;) {
        text += strspn(text, " ,");
        size_t length = strcspn(text, " ,");
        if (length == 0)
            return;
        add_word(words, text, length, id);
        text += length;
    }
}

size_t words_count(struct words *words, const char *word)
{
    char *normal = normalise(word, strlen(word));
    const struct entry *entry = *find(words, normal);
    free(normal);
    return entry != NULL ? entry->count : 0;
}
