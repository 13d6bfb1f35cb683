/* SPDX-License-Identifier: MIT */
/* Compiled so that the compiler does not make calls of these functions out of their own loops. */
#include "strings.h"

#include <backend/loader.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- byte by byte --------------------------------------------------------------------------- */

static void *move_bytes(void *to, const void *from, size_t size)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    if ((uintptr_t)target - (uintptr_t)source >= size)
        for (size_t i = 0; i < size; i++)
            target[i] = source[i];
    else
        while (size-- > 0)
            target[size] = source[size];
    return to;
}

static void *set_bytes(void *to, int value, size_t size)
{
    unsigned char *target = to;
    for (size_t i = 0; i < size; i++)
        target[i] = (unsigned char)value;
    return to;
}

static int compare_bytes(const void *one, const void *other, size_t size)
{
    const unsigned char *left = one, *right = other;
    for (size_t i = 0; i < size; i++)
        if (left[i] != right[i])
            return left[i] - right[i];
    return 0;
}

static void *find_byte(const void *from, int wanted, size_t size)
{
    const unsigned char *source = from;
    for (size_t i = 0; i < size; i++)
        if (source[i] == (unsigned char)wanted)
            return (void *)(uintptr_t)&source[i];
    return NULL;
}

/* ---- by the C library ----------------------------------------------------------------------- */

/* Written once, by strings_init(), before there are other threads. */
static void *(*copy)(void *, const void *, size_t) = move_bytes;
static void *(*move)(void *, const void *, size_t) = move_bytes;
static void *(*set)(void *, int, size_t) = set_bytes;
static int (*compare)(const void *, const void *, size_t) = compare_bytes;
static void *(*find)(const void *, int, size_t) = find_byte;

void strings_init(void)
{
#define TAKE(pointer, name)                                                                        \
    do {                                                                                           \
        void *function = loader_libc_function(name);                                               \
        if (function != NULL)                                                                      \
            *(void **)&(pointer) = function;                                                       \
    } while (0)
    TAKE(copy, "memcpy");
    TAKE(move, "memmove");
    TAKE(set, "memset");
    TAKE(compare, "memcmp");
    TAKE(find, "memchr");
#undef TAKE
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    return copy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
    return move(to, from, size);
}

void *memset(void *to, int value, size_t size)
{
    return set(to, value, size);
}

int memcmp(const void *one, const void *other, size_t size)
{
    return compare(one, other, size);
}

void *memchr(const void *from, int wanted, size_t size)
{
    return find(from, wanted, size);
}

/* ---- strings, which are short here ---------------------------------------------------------- */

size_t strnlen(const char *text, size_t most)
{
    size_t length = 0;
    while (length < most && text[length] != '\0')
        length++;
    return length;
}

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

int strncmp(const char *one, const char *other, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        if (one[i] != other[i])
            return (unsigned char)one[i] - (unsigned char)other[i];
        if (one[i] == '\0')
            break;
    }
    return 0;
}

int strcmp(const char *one, const char *other)
{
    return strncmp(one, other, SIZE_MAX);
}

char *strchr(const char *text, int wanted)
{
    for (;; text++) {
        if (*text == (char)wanted)
            return (char *)(uintptr_t)text;
        if (*text == '\0')
            return NULL;
    }
}

char *strrchr(const char *text, int wanted)
{
    const char *found = NULL;
    for (;; text++) {
        if (*text == (char)wanted)
            found = text;
        if (*text == '\0')
            return (char *)(uintptr_t)found;
    }
}

size_t strcspn(const char *text, const char *stop)
{
    size_t length = 0;
    while (text[length] != '\0' && strchr(stop, text[length]) == NULL)
        length++;
    return length;
}

char *strstr(const char *text, const char *wanted)
{
    size_t length = strlen(wanted);
    for (; strncmp(text, wanted, length) != 0; text++)
        if (*text == '\0')
            return NULL;
    return (char *)(uintptr_t)text;
}
