/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "mtmalloc_api.h"
#include "region.h"

#include <malloctap/mtmalloc.h>

#include <stdbool.h>
#include <string.h>

#define CHUNK_UNITS_MIN 9
#define CHUNK_UNITS_MAX 256

_Atomic uint32_t mt_options;
_Atomic uint32_t mt_chunk_size = CHUNK_UNITS_MIN * MT_REGION_UNIT;

static bool set_chunk_size(long units)
{
    if (units < CHUNK_UNITS_MIN || units > CHUNK_UNITS_MAX)
        return false;
    atomic_store_explicit(&mt_chunk_size, (uint32_t)units * MT_REGION_UNIT, memory_order_relaxed);
    return true;
}

static void set_switch(uint32_t bit, bool on)
{
    if (on)
        atomic_fetch_or_explicit(&mt_options, bit, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&mt_options, ~bit, memory_order_relaxed);
}

void mtmalloc_mallocctl(int cmd, long value)
{
    switch (cmd) {
    case MTCHUNKSIZE:
        set_chunk_size(value);
        break;
#define X(COMMAND, name) case COMMAND:
        MT_SWITCHES(X)
#undef X
        set_switch((uint32_t)cmd, value != 0);
        break;
    default:
        break;
    }
}

/* Decimal digits and nothing else, -1 if not; more than any option takes is all the same. */
static long parse_number(const char *text)
{
    long number = 0;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        if (number < 100000)
            number = number * 10 + (*text - '0');
    }
    return number;
}

int mtmalloc_option(const char *key, const char *value)
{
    long number = parse_number(value);
    if (strcmp(key, "chunk") == 0)
        return set_chunk_size(number) ? 0 : -1;
    if (number != 0 && number != 1)
        return -1;
#define X(COMMAND, name)                                                                           \
    if (strcmp(key, #name) == 0) {                                                                 \
        set_switch(COMMAND, number == 1);                                                          \
        return 0;                                                                                  \
    }
    MT_SWITCHES(X)
#undef X
    return -1;
}
