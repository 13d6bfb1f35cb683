/* SPDX-License-Identifier: MIT */
#include "debug.h"

#include "os.h"

#include <text.h>

#include <stdint.h>

#define FREED_PATTERN 0xdeadbeefdeadbeefu
#define NEW_PATTERN 0xbaddcafebaddcafeu

static void fill(void *p, size_t size, uint64_t pattern)
{
    uint64_t *word = p;
    for (size_t i = 0; i < size / sizeof *word; i++)
        word[i] = pattern;
}

void mt_pattern_fill_freed(void *p, size_t size)
{
    fill(p, size, FREED_PATTERN);
}

void mt_pattern_fill_new(void *p, size_t size)
{
    fill(p, size, NEW_PATTERN);
}

static void add_address(struct text *text, const void *p)
{
    text_add(text, "0x");
    for (int shift = 60; shift >= 0; shift -= 4) {
        uintptr_t rest = (uintptr_t)p >> shift;
        if (rest != 0 || shift == 0)
            text_add_bytes(text, &"0123456789abcdef"[rest & 15], 1);
    }
}

static _Noreturn void abort_saying(const char *before, const void *p, const char *after)
{
    char line[256];
    struct text text = text_begin(line, sizeof line);
    text_add(&text, "mtmalloc: ");
    text_add(&text, before);
    add_address(&text, p);
    text_add(&text, after);
    text_add(&text, "\n");
    mt_os_abort(line, text.length);
}

void mt_pattern_check_freed(const void *p, size_t size)
{
    const uint64_t *word = p;
    for (size_t i = 0; i < size / sizeof *word; i++)
        if (word[i] != FREED_PATTERN)
            abort_saying("memory at ", &word[i], " was written to after it was freed");
}

void mt_abort_double_free(const void *p)
{
    abort_saying("double free of ", p, "");
}

void mt_abort_not_a_block(const void *p)
{
    abort_saying("", p, " is not an allocated block: double free, wrong address, or overwritten");
}
