/* SPDX-License-Identifier: MIT */
#include "reader_log.h"

#include <endian.h>
#include <string.h>

static_assert(READER_LOG_SLACK >= MALLOCTAP_LOG_EVENT_MAX + sizeof(uint64_t),
              "an event that begins at the last byte is read within the slack");

#define TAG_SIZE 2u
#define LENGTH_WHOLE 7u /* the length code of eight bytes */
#define STACK_LENGTH_MAX 4u
#define REALLOC_UNUSED_BITS 0xc0u

void reader_log_init(struct reader_log *log, uint64_t first_ticks)
{
    memset(log, 0, sizeof(*log));
    log->ticks = first_ticks;
    log->released.head.kind = MALLOCTAP_RECORD_FREE;
    log->released.head.op = MALLOCTAP_OP_REALLOC;
    log->released.head.length = log->obtained.head.length = sizeof(struct malloctap_sample);
    log->released.weight = log->obtained.weight = 1;
}

/* The field at *at, `length` being its code in the tag. */
static inline uint64_t take(const uint8_t **at, unsigned length)
{
    static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 8};
    static const uint64_t masks[] = {0,          0xff,         0xffff,         0xffffff,
                                     0xffffffff, 0xffffffffff, 0xffffffffffff, UINT64_MAX};
    uint64_t value;
    memcpy(&value, *at, sizeof(value));
    *at += bytes[length];
    return le64toh(value) & masks[length];
}

/* An address at a distance from another, or in whole. */
static inline uint64_t place(uint64_t base, uint64_t code, unsigned length)
{
    if (length == LENGTH_WHOLE)
        return code;
    uint64_t distance = (code >> 1) * 8;
    return code & 1 ? base - distance : base + distance;
}

/* What no writer writes. */
static inline bool is_damaged(unsigned tag, unsigned realloc_tag)
{
    unsigned op = MALLOCTAP_LOG_OP(tag);
    return op >= MALLOCTAP_OPS ||
           MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_STACK_SHIFT) > STACK_LENGTH_MAX ||
           (op == MALLOCTAP_OP_FREE && MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_SIZE_SHIFT) != 0) ||
           (tag & MALLOCTAP_LOG_FAILED &&
            MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_ADDRESS_SHIFT) != 0) ||
           (realloc_tag & REALLOC_UNUSED_BITS) != 0;
}

/* Finish a realloc whose `time`, stack, address code and size are in log->obtained. */
static void resize(struct reader_log *log, unsigned tag, unsigned realloc_tag, const uint8_t **at)
{
    struct malloctap_sample *obtained = &log->obtained;
    unsigned address_length = MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_ADDRESS_SHIFT);
    unsigned old_length = MALLOCTAP_LOG_LENGTH(realloc_tag, MALLOCTAP_LOG_OLD_SHIFT);
    bool failed = tag & MALLOCTAP_LOG_FAILED;
    bool none = failed || (address_length == 0 && obtained->size == 0);

    log->old = place(log->address, take(at, old_length), old_length);
    obtained->address = none ? 0 : place(log->old, obtained->address, address_length);
    obtained->ticks += take(at, MALLOCTAP_LOG_LENGTH(realloc_tag, MALLOCTAP_LOG_DURATION_SHIFT));
    log->obtained_next = !failed && log->old != 0;
    log->released.head.stack = log->stack;
    log->released.ticks = log->ticks;
    log->released.address = log->old;
}

size_t reader_log_decode(struct reader_log *log, const uint8_t *at, size_t size)
{
    const uint8_t *start = at;
    struct malloctap_sample *sample = &log->obtained;
    unsigned tag = (unsigned)(at[0] | at[1] << 8), realloc_tag = 0;
    unsigned op = MALLOCTAP_LOG_OP(tag);
    unsigned stack_length = MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_STACK_SHIFT);
    unsigned address_length = MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_ADDRESS_SHIFT);
    at += TAG_SIZE;
    if (op == MALLOCTAP_OP_REALLOC)
        realloc_tag = *at++;
    if (is_damaged(tag, realloc_tag))
        return 0;

    log->ticks += take(&at, MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_TIME_SHIFT));
    uint32_t stack = (uint32_t)take(&at, stack_length);
    log->stack = stack_length == 0 ? log->stack : stack;
    uint64_t code = take(&at, address_length);
    sample->head.kind = op == MALLOCTAP_OP_FREE ? MALLOCTAP_RECORD_FREE : MALLOCTAP_RECORD_ALLOC;
    sample->head.op = (uint8_t)op;
    sample->head.stack = log->stack;
    sample->ticks = log->ticks;
    sample->size = take(&at, MALLOCTAP_LOG_LENGTH(tag, MALLOCTAP_LOG_SIZE_SHIFT));
    sample->flags =
        tag & MALLOCTAP_LOG_FAILED && op != MALLOCTAP_OP_FREE ? MALLOCTAP_SAMPLE_FAILED : 0;
    log->old = 0;
    if (op == MALLOCTAP_OP_REALLOC) {
        sample->address = code;
        resize(log, tag, realloc_tag, &at);
    } else {
        sample->address =
            tag & MALLOCTAP_LOG_FAILED ? 0 : place(log->address, code, address_length);
    }
    log->address = sample->address != 0 ? sample->address : log->old != 0 ? log->old : log->address;
    return (size_t)(at - start) <= size ? (size_t)(at - start) : 0;
}
