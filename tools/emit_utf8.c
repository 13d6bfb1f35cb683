/* SPDX-License-Identifier: MIT */
#include "emit_utf8.h"

#include "analyze_memory.h"

#include <stdint.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Length of the valid sequence at `text`, and its code point; 0: there is none. */
static size_t sequence(const unsigned char *text, uint32_t *ret)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80             ? 1
                    : (text[0] & 0xe0) == 0xc0 ? 2
                    : (text[0] & 0xf0) == 0xe0 ? 3
                    : (text[0] & 0xf8) == 0xf0 ? 4
                                               : 0;
    if (!length)
        return 0;
    uint32_t code = length == 1 ? text[0] : text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) /* the NUL at the end included */
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    *ret = code;
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[length] || surrogate || code > 0x10ffff ? 0 : length;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

char *utf8_repaired(const char *text, bool printable)
{
    char *result = memory_zeroed(strlen(text) + 1, sizeof replacement - 1);
    char *to = result;
    while (*text) {
        uint32_t code;
        size_t length = sequence((const unsigned char *)text, &code);
        bool keep = length && !(printable && is_control(code));
        size_t written = keep ? length : sizeof replacement - 1;
        memcpy(to, keep ? text : replacement, written);
        to += written;
        text += length ? length : 1;
    }
    *to = '\0';
    return result;
}

size_t utf8_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
