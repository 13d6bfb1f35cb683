/* SPDX-License-Identifier: MIT */
#include "builder_log.h"

#include <string.h>

/* A field: its bytes, lowest first, and the code of their number. */
struct field {
    uint8_t bytes[8];
    unsigned size;
    unsigned code;
};

static struct field field_of_size(uint64_t value, unsigned size)
{
    struct field field = {.size = size, .code = size == 8 ? 7 : size};
    for (unsigned i = 0; i < size; i++)
        field.bytes[i] = (uint8_t)(value >> 8 * i);
    return field;
}

static struct field field_of(uint64_t value)
{
    unsigned size = 0;
    while (size < 8 && value >> 8 * size != 0)
        size++;
    return field_of_size(value, size == 7 ? 8 : size);
}

static struct field distance(uint64_t address, uint64_t from)
{
    uint64_t apart = address > from ? address - from : from - address;
    if (apart % 8 != 0 || apart >= UINT64_C(1) << 46)
        return field_of_size(address, 8);
    return field_of(apart / 8 * 2 + (address < from));
}

static struct field address_of(const struct recording_builder_call *call, uint64_t base)
{
    bool resized = call->op == MALLOCTAP_OP_REALLOC;
    struct field field = distance(call->address, resized ? call->old : base);
    if (call->address == 0)
        return field_of_size(0, 0);
    if (resized && call->size == 0 && field.code == 0)
        return field_of_size(call->address, 8);
    return field;
}

size_t builder_log_encode(const struct recording_builder_call *call, struct builder_log_base *base,
                          uint8_t bytes[MALLOCTAP_LOG_EVENT_MAX])
{
    bool resized = call->op == MALLOCTAP_OP_REALLOC;
    bool none = call->address == 0 && !resized;
    struct field fields[6] = {
        field_of(call->ticks - base->ticks),
        call->stack == base->stack ? field_of_size(0, 0)
        : call->stack == 0         ? field_of_size(0, 1)
                                   : field_of(call->stack),
        address_of(call, base->address),
        field_of(call->size),
    };
    unsigned count = 4, size = 2;
    if (resized) {
        fields[count++] = call->old == 0 ? field_of_size(0, 8) : distance(call->old, base->address);
        fields[count++] = field_of(call->duration);
        bytes[size++] = (uint8_t)(fields[4].code | fields[5].code << 3);
    }
    unsigned tag = (unsigned)call->op | (call->failed || none ? 8u : 0u);
    for (unsigned i = 0; i < 4; i++)
        tag |= fields[i].code << (4 + 3 * i);
    bytes[0] = (uint8_t)tag;
    bytes[1] = (uint8_t)(tag >> 8);
    for (unsigned i = 0; i < count; size += fields[i++].size)
        memcpy(bytes + size, fields[i].bytes, fields[i].size);

    base->ticks = call->ticks;
    base->stack = call->stack;
    if (call->address != 0)
        base->address = call->address;
    else if (call->old != 0)
        base->address = call->old;
    return size;
}
