/* SPDX-License-Identifier: MIT */
#include "program_name.h"

#include <stdio.h>
#include <string.h>

struct program_name program_name(const struct malloctap_header *header)
{
    struct program_name name;
    /* The words of the command line are quoted where they are not plain. */
    int length = (int)strcspn(header->command_line, " '");
    const char *called = length > 0 ? header->command_line : header->executable;
    if (length == 0)
        length = (int)strnlen(header->executable, sizeof header->executable);
    const char *slash = memrchr(called, '/', (size_t)length);
    if (slash != NULL) {
        length -= (int)(slash + 1 - called);
        called = slash + 1;
    }
    snprintf(name.text, sizeof name.text, "%.*s", length, called);
    return name;
}
