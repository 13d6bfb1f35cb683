/* SPDX-License-Identifier: MIT */
/*
 * cursor.h - bounded reading of unwind tables. A read past the end yields 0 and marks the cursor as
 * failed for good, so that a parser may check once, before it acts on what it read.
 */
#ifndef PRELOAD_STACK_CURSOR_H
#define PRELOAD_STACK_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline uint64_t cursor_fail(struct cursor *cursor)
{
    cursor->failed = true;
    cursor->at = cursor->end;
    return 0;
}

/* A little-endian unsigned integer of 1, 2, 4 or 8 bytes. */
static inline uint64_t cursor_unsigned(struct cursor *cursor, size_t size)
{
    uint64_t value = 0;
    if (cursor_left(cursor) < size)
        return cursor_fail(cursor);
    memcpy(&value, cursor->at, size);
    cursor->at += size;
    return value;
}

static inline int64_t cursor_signed(struct cursor *cursor, size_t size)
{
    unsigned unused = 64 - 8 * (unsigned)size;
    return (int64_t)(cursor_unsigned(cursor, size) << unused) >> unused;
}

static inline uint8_t cursor_byte(struct cursor *cursor)
{
    return (uint8_t)cursor_unsigned(cursor, 1);
}

static inline uint64_t cursor_leb(struct cursor *cursor, unsigned *bits)
{
    uint64_t value = 0;
    uint8_t byte;
    *bits = 0;
    do {
        byte = cursor_byte(cursor);
        if (*bits < 64)
            value |= (uint64_t)(byte & 0x7f) << *bits;
        *bits += 7;
    } while (byte & 0x80);
    return value;
}

static inline uint64_t cursor_uleb(struct cursor *cursor)
{
    unsigned bits;
    return cursor_leb(cursor, &bits);
}

static inline int64_t cursor_sleb(struct cursor *cursor)
{
    unsigned bits;
    uint64_t value = cursor_leb(cursor, &bits);
    if (bits < 64 && (value >> (bits - 1) & 1))
        value |= ~0ULL << bits;
    return (int64_t)value;
}

/* The next `size` bytes as a cursor of their own. */
static inline struct cursor cursor_slice(struct cursor *cursor, uint64_t size)
{
    struct cursor slice = {cursor->at, cursor->at, false};
    if (size > cursor_left(cursor)) {
        cursor_fail(cursor);
        slice.failed = true;
        return slice;
    }
    cursor->at += size;
    slice.end = cursor->at;
    return slice;
}

/* A block preceded by its size. */
static inline struct cursor cursor_block(struct cursor *cursor)
{
    return cursor_slice(cursor, cursor_uleb(cursor));
}

/* Pointer encodings of .eh_frame (DW_EH_PE_...). */
enum pointer_encoding {
    POINTER_FORMAT = 0x0f,
    POINTER_BASE = 0x70,
    POINTER_PCREL = 0x10,
    POINTER_DATAREL = 0x30,
    POINTER_INDIRECT = 0x80,
    POINTER_OMITTED = 0xff,
};

/* An encoded pointer; `data` is what data-relative ones are relative to. Fails for the encodings
 * that no compiler uses in tables of code. */
uintptr_t cursor_pointer(struct cursor *cursor, uint8_t encoding, uintptr_t data);

#endif
