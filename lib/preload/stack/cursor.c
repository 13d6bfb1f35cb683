/* SPDX-License-Identifier: MIT */
#include "cursor.h"

static uint64_t pointer_value(struct cursor *cursor, uint8_t format)
{
    switch (format) {
    case 0x0:
        return cursor_unsigned(cursor, sizeof(uintptr_t));
    case 0x1:
        return cursor_uleb(cursor);
    case 0x2:
        return cursor_unsigned(cursor, 2);
    case 0x3:
        return cursor_unsigned(cursor, 4);
    case 0x4:
    case 0xc:
        return cursor_unsigned(cursor, 8);
    case 0x9:
        return (uint64_t)cursor_sleb(cursor);
    case 0xa:
        return (uint64_t)cursor_signed(cursor, 2);
    case 0xb:
        return (uint64_t)cursor_signed(cursor, 4);
    default:
        return cursor_fail(cursor);
    }
}

uintptr_t cursor_pointer(struct cursor *cursor, uint8_t encoding, uintptr_t data)
{
    uintptr_t here = (uintptr_t)cursor->at;
    uintptr_t value = pointer_value(cursor, encoding & POINTER_FORMAT);
    switch (encoding & (POINTER_BASE | POINTER_INDIRECT)) {
    case 0:
        return value;
    case POINTER_PCREL:
        return here + value;
    case POINTER_DATAREL:
        return data + value;
    default:
        return cursor_fail(cursor);
    }
}
