/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <compiler.h>

#include <string.h>

#define LENGTH_WHOLE 7u                  /* the code of eight bytes */
#define DISTANCE_MAX (UINT64_C(1) << 46) /* so that its code has six bytes at most */

/* What takes more than six bytes is stored in eight. */
static always_inline unsigned length_of(uint64_t value)
{
    if (unlikely(value >> 48 != 0))
        return LENGTH_WHOLE;
    return (unsigned)(70 - __builtin_clzll(value << 1 | 1)) / 8;
}

/* Always stores eight bytes: what is too much is overwritten by the next. */
static always_inline unsigned char *put(unsigned char *to, uint64_t value, unsigned length)
{
    memcpy(to, &value, sizeof value);
    return to + length + (length == LENGTH_WHOLE);
}

static always_inline uint64_t distance(uint64_t address, uint64_t from, unsigned *length)
{
    uint64_t back = (uint64_t)((int64_t)(address - from) >> 63); /* all ones, or zero */
    uint64_t apart = ((address - from) ^ back) - back;
    if (unlikely(apart % 8 != 0 || apart >= DISTANCE_MAX)) {
        *length = LENGTH_WHOLE;
        return address;
    }
    uint64_t code = apart / 4 + (back & 1);
    *length = length_of(code);
    return code;
}

/* The new block of a realloc; a length of 0 with size 0 says that there is none. */
static uint64_t distance_from_old(const struct log_event *event, unsigned *length)
{
    uint64_t code = distance(event->address, event->old, length);
    if (*length != 0 || event->size != 0)
        return code;
    *length = LENGTH_WHOLE;
    return event->address;
}

static always_inline uint32_t encode(const struct log_event *event, bool resized,
                                     struct log_base *base, unsigned char *to)
{
    unsigned char *at = to + 2;
    uint64_t time = event->ticks - base->ticks, address = 0, old = 0;
    unsigned time_length = length_of(time), address_length = 0, old_length = 0;
    unsigned stack_length = event->stack == base->stack ? 0
                            : event->stack              ? length_of(event->stack)
                                                        : 1;
    unsigned size_length = length_of(event->size);
    if (resized) {
        old_length = LENGTH_WHOLE; /* NULL is eight zero bytes */
        if (event->old != 0)
            old = distance(event->old, base->address, &old_length);
        unsigned duration_length = length_of(event->duration);
        *at++ = (unsigned char)(old_length << MALLOCTAP_LOG_OLD_SHIFT |
                                duration_length << MALLOCTAP_LOG_DURATION_SHIFT);
    }
    if (event->address != 0)
        address = resized ? distance_from_old(event, &address_length)
                          : distance(event->address, base->address, &address_length);
    uint16_t tag = (uint16_t)(event->op | (event->failed ? MALLOCTAP_LOG_FAILED : 0) |
                              time_length << MALLOCTAP_LOG_TIME_SHIFT |
                              stack_length << MALLOCTAP_LOG_STACK_SHIFT |
                              address_length << MALLOCTAP_LOG_ADDRESS_SHIFT |
                              size_length << MALLOCTAP_LOG_SIZE_SHIFT);
    memcpy(to, &tag, sizeof tag);
    at = put(at, time, time_length);
    at = put(at, event->stack, stack_length);
    at = put(at, address, address_length);
    at = put(at, event->size, size_length);
    if (resized) {
        at = put(at, old, old_length);
        at = put(at, event->duration, length_of(event->duration));
    }
    base->ticks = event->ticks;
    base->stack = event->stack;
    if (event->address != 0)
        base->address = event->address;
    else if (event->old != 0)
        base->address = event->old;
    return (uint32_t)(at - to);
}

uint32_t log_encode(const struct log_event *event, struct log_base *base, unsigned char *to)
{
    if (unlikely(event->op == MALLOCTAP_OP_REALLOC))
        return encode(event, true, base, to);
    return encode(event, false, base, to);
}
