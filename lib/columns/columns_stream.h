/* SPDX-License-Identifier: MIT */
/*
 * columns_stream.h - the columns: what they are called, and how numbers stand in them.
 *
 * A number is one byte in its column, which says how large it is: 0 ... 127 themselves, else the
 * number of its bits and the two behind the highest. Bits below these tell nothing that a
 * compressor could use; those of all numbers are together in the column BITS. Choices of four take
 * two bits, four to a byte: no code has fewer bits than one for a whole byte.
 */
#ifndef COLUMNS_STREAM_H
#define COLUMNS_STREAM_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COLUMNS(X)                                                                                 \
    X(REST)      /* which chunks are in columns, then what of the chunks is not */                 \
    X(SITE)      /* choice: whom the site follows as before, or none of them */                    \
    X(LISTED)    /* number: 0 for a new site, 1 + its number for another */                        \
    X(STACK)     /* number: of a new site, distance from the one before */                         \
    X(CALL)      /* byte: of a new site */                                                         \
    X(TIME)      /* number */                                                                      \
    X(SIZE)      /* choice: of the sizes the site had before, or another */                        \
    X(BYTES)     /* number: another size */                                                        \
    X(DURATION)  /* number */                                                                      \
    X(GIVEN)     /* choice: how the block given back, or to realloc, is named */                   \
    X(AGE)       /* number: of the blocks obtained, how long ago that one was */                   \
    X(GOT)       /* byte: how the block obtained is named */                                       \
    X(FREED_AGE) /* number: of the blocks freed, how long ago that one was */                      \
    X(DISTANCE)  /* number: from the address before */                                             \
    X(WHOLE)     /* number: an address */                                                          \
    X(BITS)      /* low bits of all numbers */

enum columns_column {
#define X(name) COLUMNS_##name,
    COLUMNS(X)
#undef X
        COLUMNS_COUNT,
};

enum { COLUMNS_SITE_LISTED = 3 }; /* SITE: below are the orders, the longest first */
enum { COLUMNS_SIZE_OTHER = 2 };  /* SIZE: below are the recent ones */
enum columns_given {
    COLUMNS_GIVEN_AGE,
    COLUMNS_GIVEN_DISTANCE,
    COLUMNS_GIVEN_WHOLE,
    COLUMNS_GIVEN_NONE
};
enum columns_got { /* below are the ranks among the free blocks of that class */
                   COLUMNS_GOT_ADJACENT = 16,
                   COLUMNS_GOT_SAME,
                   COLUMNS_GOT_AGE,
                   COLUMNS_GOT_DISTANCE,
                   COLUMNS_GOT_WHOLE,
                   COLUMNS_GOT_NONE,
};

#define COLUMNS_LITERALS 128u /* numbers below stand for themselves */
#define COLUMNS_TOP_FIRST 7u  /* the highest bit of the least number above */
#define COLUMNS_TOP_LAST 37u
#define COLUMNS_NUMBER_WHOLE 255u /* all 64 bits follow */

/* ---- the frame ----------------------------------------------------------------------------- */

/* A zstd frame that decoders skip, then the columns, each a zstd frame. In it: the size of a chunk,
 * the number of columns, and of each the size compressed and its own. All in 32 bits. */
#define COLUMNS_MAGIC 0x184d2a5cu
#define COLUMNS_FIXED_SIZE 16u
#define COLUMNS_HEADER_SIZE (COLUMNS_FIXED_SIZE + 8u * COLUMNS_COUNT)

/* Of a frame of so many bytes: columns take no more, or it is not put in columns. */
static inline size_t columns_limit(size_t size)
{
    return 4 * size + 4096;
}

/* ---- writing ------------------------------------------------------------------------------- */

struct columns_sink {
    uint8_t *at;
    unsigned choices; /* of a column of choices, those that make no byte yet */
    unsigned choice_bits;
};

struct columns_sinks {
    struct columns_sink sinks[COLUMNS_COUNT];
    uint64_t bits; /* that make no byte yet */
    unsigned bit_count;
};

static inline void columns_put_byte(struct columns_sinks *to, enum columns_column column,
                                    unsigned value)
{
    *to->sinks[column].at++ = (uint8_t)value;
}

static inline void columns_put_choice(struct columns_sinks *to, enum columns_column column,
                                      unsigned value)
{
    struct columns_sink *sink = &to->sinks[column];
    sink->choices |= value << sink->choice_bits;
    sink->choice_bits += 2;
    if (sink->choice_bits == 8) {
        *sink->at++ = (uint8_t)sink->choices;
        sink->choices = sink->choice_bits = 0;
    }
}

/* Up to 56 bits. Stores eight bytes: what is too much is overwritten by the next. */
static inline void columns_put_bits(struct columns_sinks *to, uint64_t value, unsigned count)
{
    uint8_t *at = to->sinks[COLUMNS_BITS].at;
    to->bits |= value << to->bit_count;
    to->bit_count += count;
    uint64_t word = htole64(to->bits);
    memcpy(at, &word, sizeof(word));
    unsigned bytes = to->bit_count / 8;
    to->sinks[COLUMNS_BITS].at = at + bytes;
    to->bits >>= 8 * bytes;
    to->bit_count %= 8;
}

static inline void columns_put_number(struct columns_sinks *to, enum columns_column column,
                                      uint64_t value)
{
    if (value < COLUMNS_LITERALS) {
        columns_put_byte(to, column, (unsigned)value);
        return;
    }
    unsigned top = 63 - (unsigned)__builtin_clzll(value), low = top - 2;
    if (top > COLUMNS_TOP_LAST) {
        columns_put_byte(to, column, COLUMNS_NUMBER_WHOLE);
        columns_put_bits(to, value & UINT32_MAX, 32);
        columns_put_bits(to, value >> 32, 32);
        return;
    }
    columns_put_byte(to, column,
                     COLUMNS_LITERALS + (top - COLUMNS_TOP_FIRST) * 4 +
                         (unsigned)(value >> low & 3));
    columns_put_bits(to, value & ((UINT64_C(1) << low) - 1), low);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Bytes that must be readable behind BITS. */
#define COLUMNS_BITS_SLACK 8u

struct columns_source {
    const uint8_t *at;
    const uint8_t *end;
    unsigned choices; /* of a column of choices, those of its last byte that were not taken yet */
    unsigned choice_bits;
};

struct columns_sources {
    struct columns_source sources[COLUMNS_COUNT];
    uint64_t bits; /* taken from BITS and not used yet */
    unsigned bit_count;
    bool damaged; /* something was asked for that is not there; 0 was the answer */
};

static inline unsigned columns_take_byte(struct columns_sources *from, enum columns_column column)
{
    struct columns_source *source = &from->sources[column];
    if (source->at == source->end) {
        from->damaged = true;
        return 0;
    }
    return *source->at++;
}

static inline unsigned columns_take_choice(struct columns_sources *from, enum columns_column column)
{
    struct columns_source *source = &from->sources[column];
    if (source->choice_bits == 0) {
        source->choices = columns_take_byte(from, column);
        source->choice_bits = 8;
    }
    unsigned value = source->choices & 3;
    source->choices >>= 2;
    source->choice_bits -= 2;
    return value;
}

/* Up to 56 bits. */
static inline uint64_t columns_take_bits(struct columns_sources *from, unsigned count)
{
    struct columns_source *source = &from->sources[COLUMNS_BITS];
    if (from->bit_count < count) {
        uint64_t word;
        if (source->at > source->end) { /* it was the slack that was used */
            from->damaged = true;
            return 0;
        }
        memcpy(&word, source->at, sizeof(word));
        from->bits |= le64toh(word) << from->bit_count;
        unsigned bytes = (63 - from->bit_count) / 8;
        source->at += bytes;
        from->bit_count += 8 * bytes;
    }
    uint64_t value = from->bits & ((UINT64_C(1) << count) - 1);
    from->bits >>= count;
    from->bit_count -= count;
    return value;
}

static inline uint64_t columns_take_number(struct columns_sources *from, enum columns_column column)
{
    unsigned code = columns_take_byte(from, column);
    if (code < COLUMNS_LITERALS)
        return code;
    if (code == COLUMNS_NUMBER_WHOLE) {
        uint64_t low = columns_take_bits(from, 32);
        return low | columns_take_bits(from, 32) << 32;
    }
    unsigned top = COLUMNS_TOP_FIRST + (code - COLUMNS_LITERALS) / 4, low = top - 2;
    if (top > COLUMNS_TOP_LAST) {
        from->damaged = true;
        return 0;
    }
    return (4 | (uint64_t)(code & 3)) << low | columns_take_bits(from, low);
}

#endif
