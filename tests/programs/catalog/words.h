/* SPDX-License-Identifier: MIT */
/* words.h - full-text index: which products contain a word, whatever its case or plural. */
#ifndef CATALOG_WORDS_H
#define CATALOG_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct words;

struct words *words_create(void);
void words_destroy(struct words *words);

/* Index every word of a text as found in product `id`. */
void words_add_text(struct words *words, const char *text, uint32_t id);

/* Number of times the word was found; 0: never. */
size_t words_count(struct words *words, const char *word);

#endif
