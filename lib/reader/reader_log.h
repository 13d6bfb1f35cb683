/* SPDX-License-Identifier: MIT */
/* reader_log.h - decode the events of a log, which recording.h draws. */
#ifndef READER_LOG_H
#define READER_LOG_H

#include <malloctap/reader.h>

/* Bytes that must be readable behind the end of the events: fields are read eight bytes at a time,
 * and only then is it looked at whether the event ended in time. */
#define READER_LOG_SLACK 64u

struct reader_log {
    /* what the next event is relative to */
    uint64_t ticks;
    uint64_t address;
    uint32_t stack;

    bool obtained_next;               /* of a realloc only the first record was handed out */
    struct malloctap_sample released; /* of a realloc, the end of the old block */
    struct malloctap_sample obtained; /* of any other call, its record */
    uint64_t old;
};

void reader_log_init(struct reader_log *log, uint64_t first_ticks);

/* Decode the event at `at`, behind which are `size` bytes of events and then READER_LOG_SLACK more.
 * Returns its length, or 0 when it is damaged. */
size_t reader_log_decode(struct reader_log *log, const uint8_t *at, size_t size);

#endif
