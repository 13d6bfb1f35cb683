/* SPDX-License-Identifier: MIT */
/*
 * fuzz_suppressions.c - random patterns against the definition of what they match, and random files
 * through the parser, each from memory of exactly their size.
 *
 *   fuzz_suppressions [SEED]    the seed is printed; the same one gives the same cases
 */
#include "suppressions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CASES = 300000, PATTERN_MAX = 10, TEXT_MAX = 14, FILE_MAX = 60 };

static uint64_t random_state;

static size_t random_below(size_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)(random_state * 0x2545f4914f6cdd1du >> 33) % limit;
}

static char *random_text(const char *alphabet, size_t alphabet_size, size_t length)
{
    char *text = malloc(length + 1);
    if (!text)
        abort();
    for (size_t i = 0; i < length; i++)
        text[i] = alphabet[random_below(alphabet_size)];
    text[length] = '\0';
    return text;
}

/* What it means, as simply as it can be said: `*` is any text, all else itself. */
static bool matches(const char *pattern, size_t length, const char *text, bool to_end)
{
    if (!length)
        return !to_end || !*text;
    if (*pattern == '*')
        return matches(pattern + 1, length - 1, text, to_end) ||
               (*text && matches(pattern, length, text + 1, to_end));
    return *text == *pattern && *text && matches(pattern + 1, length - 1, text + 1, to_end);
}

static bool matches_by_definition(const char *pattern, const char *text)
{
    size_t length = strlen(pattern);
    bool from_start = *pattern == '^';
    pattern += from_start;
    length -= from_start;
    bool to_end = length && pattern[length - 1] == '$';
    length -= to_end;
    for (;; text++) {
        if (matches(pattern, length, text, to_end))
            return true;
        if (from_start || !*text)
            return false;
    }
}

static void try_pattern(void)
{
    char *pattern = random_text("aab*^$", 6, random_below(PATTERN_MAX));
    char *text = random_text("aab*$", 5, random_below(TEXT_MAX));
    if (suppression_matches(pattern, text) != matches_by_definition(pattern, text)) {
        fprintf(stderr, "'%s' on '%s': got %d\n", pattern, text,
                suppression_matches(pattern, text));
        abort();
    }
    free(pattern);
    free(text);
}

static void try_file(void)
{
    static const char alphabet[] = "leak:leak:\n\n# *\t\r\0x";
    size_t size = random_below(FILE_MAX);
    char *text = random_text(alphabet, sizeof alphabet - 1, size);
    char *exact = malloc(size ? size : 1);
    struct suppressions list = {0};
    struct malloctap_error error = {{0}};
    if (!exact)
        abort();
    memcpy(exact, text, size);
    if (suppressions_parse(&list, "a file", exact, size, &error) < 0 && !error.text[0])
        abort();
    for (size_t i = 0; i < list.count; i++)
        if (!list.patterns[i][0] || strchr(list.patterns[i], '\n'))
            abort();
    suppressions_deinit(&list);
    free(exact);
    free(text);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 "\n", seed);
    random_state = seed * 2 + 1;
    for (int i = 0; i < CASES; i++) {
        try_pattern();
        try_file();
    }
    return 0;
}
