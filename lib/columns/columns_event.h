/* SPDX-License-Identifier: MIT */
/* columns_event.h - an event of a log and its encoding, which recording.h draws. */
#ifndef COLUMNS_EVENT_H
#define COLUMNS_EVENT_H

#include <malloctap/recording.h>

#include <stdbool.h>

/* Bytes that must be accessible behind an event: fields are moved eight bytes at a time. */
#define COLUMNS_EVENT_SLACK 64u

struct columns_event {
    uint8_t op; /* enum malloctap_op */
    bool failed;
    uint32_t stack;
    uint64_t time; /* since the event before */
    uint64_t address;
    uint64_t size;
    uint64_t old;
    uint64_t duration;
};

/* What an event in a chunk is relative to; all 0 at its start. */
struct columns_base {
    uint64_t address;
    uint32_t stack;
};

/* A distance, as the format writes it. False: this one must be written as the address itself. */
static inline bool columns_distance(uint64_t address, uint64_t from, uint64_t *ret)
{
    bool back = address < from;
    uint64_t apart = back ? from - address : address - from;
    *ret = apart / 8 * 2 + back;
    return apart % 8 == 0 && apart < UINT64_C(1) << 46;
}

static inline uint64_t columns_place(uint64_t from, uint64_t distance)
{
    uint64_t apart = (distance >> 1) * 8;
    return distance & 1 ? from - apart : from + apart;
}

/* Decode the event at `at`, behind which are `size` bytes of events and then the slack. Returns its
 * length; 0: it is damaged. */
size_t columns_event_decode(const uint8_t *at, size_t size, struct columns_base *base,
                            struct columns_event *ret);

/* Encode an event as the tap does. `to` has room for the longest and the slack. Returns its length.
 */
size_t columns_event_encode(const struct columns_event *event, struct columns_base *base,
                            uint8_t *to);

#endif
