/* SPDX-License-Identifier: MIT */
#include "columns_event.h"

#include <endian.h>
#include <string.h>

#define TAG_SIZE 2u
#define LENGTH_WHOLE 7u /* the length code of eight bytes */
#define STACK_LENGTH_MAX 4u

static_assert(COLUMNS_EVENT_SLACK >= MALLOCTAP_LOG_EVENT_MAX + sizeof(uint64_t), "slack");

/* ---- decoding ------------------------------------------------------------------------------ */

static inline uint64_t take(const uint8_t **at, unsigned length)
{
    uint64_t value;
    memcpy(&value, *at, sizeof(value));
    value = le64toh(value);
    *at += length + (length == LENGTH_WHOLE);
    return length == LENGTH_WHOLE ? value : value & ((UINT64_C(1) << 8 * length) - 1);
}

static inline uint64_t take_address(const uint8_t **at, unsigned length, uint64_t from)
{
    uint64_t code = take(at, length);
    return length == LENGTH_WHOLE ? code : columns_place(from, code);
}

static inline void move_base(struct columns_base *base, const struct columns_event *event)
{
    base->stack = event->stack;
    if (event->address != 0)
        base->address = event->address;
    else if (event->old != 0)
        base->address = event->old;
}

size_t columns_event_decode(const uint8_t *at, size_t size, struct columns_base *base,
                            struct columns_event *ret)
{
    const uint8_t *start = at;
    unsigned tag = (unsigned)(at[0] | at[1] << 8), second = 0;
    unsigned stack_length = MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_STACK_SHIFT);
    unsigned address_length = MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_ADDRESS_SHIFT);
    *ret = (struct columns_event){.op = MALLOCTAP_LOG_OP(tag),
                                  .failed = (tag & MALLOCTAP_LOG_FAILED) != 0};
    bool resized = ret->op == MALLOCTAP_OP_REALLOC;
    at += TAG_SIZE;
    if (resized)
        second = *at++;
    if (ret->op >= MALLOCTAP_OPS || stack_length > STACK_LENGTH_MAX ||
        (ret->op == MALLOCTAP_OP_FREE && MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_SIZE_SHIFT) != 0))
        return 0;
    ret->time = take(&at, MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_TIME_SHIFT));
    ret->stack = stack_length == 0 ? base->stack : (uint32_t)take(&at, stack_length);
    const uint8_t *address = at; /* of a realloc it is relative to `old`, which comes later */
    take(&at, address_length);
    ret->size = take(&at, MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_SIZE_SHIFT));
    uint64_t from = base->address;
    if (resized) {
        from = take_address(&at, MALLOCTAP_LOG_LENGTH(second, MALLOCTAP_LOG_OLD_SHIFT), from);
        ret->old = from;
        ret->duration = take(&at, MALLOCTAP_LOG_LENGTH(second, MALLOCTAP_LOG_DURATION_SHIFT));
    }
    if (!ret->failed && !(resized && address_length == 0 && ret->size == 0))
        ret->address = take_address(&address, address_length, from);
    move_base(base, ret);
    return (size_t)(at - start) <= size ? (size_t)(at - start) : 0;
}

/* ---- encoding ------------------------------------------------------------------------------ */

static inline unsigned length_of(uint64_t value)
{
    if (value >> 48 != 0)
        return LENGTH_WHOLE;
    return (unsigned)(70 - __builtin_clzll(value << 1 | 1)) / 8;
}

/* Always stores eight bytes: what is too much is overwritten by the next. */
static inline uint8_t *put(uint8_t *to, uint64_t value, unsigned length)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
    return to + length + (length == LENGTH_WHOLE);
}

static inline uint64_t code_of(uint64_t address, uint64_t from, unsigned *length)
{
    uint64_t code;
    if (!columns_distance(address, from, &code)) {
        *length = LENGTH_WHOLE;
        return address;
    }
    *length = length_of(code);
    return code;
}

/* The block a realloc was given, and the one it returned. A length of 0 with size 0 is for none. */
static void code_resized(const struct columns_event *event, const struct columns_base *base,
                         uint64_t codes[2], unsigned lengths[2])
{
    codes[0] = 0;
    lengths[0] = LENGTH_WHOLE; /* NULL is eight zero bytes */
    if (event->old != 0)
        codes[0] = code_of(event->old, base->address, &lengths[0]);
    if (event->address == 0)
        return;
    codes[1] = code_of(event->address, event->old, &lengths[1]);
    if (lengths[1] == 0 && event->size == 0) {
        codes[1] = event->address;
        lengths[1] = LENGTH_WHOLE;
    }
}

size_t columns_event_encode(const struct columns_event *event, struct columns_base *base,
                            uint8_t *to)
{
    uint8_t *at = to + TAG_SIZE;
    uint64_t codes[2] = {0, 0}; /* of `old` and of `address` */
    unsigned lengths[2] = {0, 0};
    unsigned time_length = length_of(event->time), size_length = length_of(event->size);
    unsigned stack_length = event->stack == base->stack ? 0
                            : event->stack != 0         ? length_of(event->stack)
                                                        : 1;
    bool resized = event->op == MALLOCTAP_OP_REALLOC;
    if (resized) {
        code_resized(event, base, codes, lengths);
        *at++ = (uint8_t)(lengths[0] << MALLOCTAP_LOG_OLD_SHIFT |
                          length_of(event->duration) << MALLOCTAP_LOG_DURATION_SHIFT);
    } else if (event->address != 0) {
        codes[1] = code_of(event->address, base->address, &lengths[1]);
    }
    unsigned tag =
        event->op | (event->failed ? MALLOCTAP_LOG_FAILED : 0) |
        time_length << MALLOCTAP_LOG_TIME_SHIFT | stack_length << MALLOCTAP_LOG_STACK_SHIFT |
        lengths[1] << MALLOCTAP_LOG_ADDRESS_SHIFT | size_length << MALLOCTAP_LOG_SIZE_SHIFT;
    to[0] = (uint8_t)tag;
    to[1] = (uint8_t)(tag >> 8);
    at = put(at, event->time, time_length);
    at = put(at, event->stack, stack_length);
    at = put(at, codes[1], lengths[1]);
    at = put(at, event->size, size_length);
    if (resized) {
        at = put(at, codes[0], lengths[0]);
        at = put(at, event->duration, length_of(event->duration));
    }
    move_base(base, event);
    return (size_t)(at - to);
}
