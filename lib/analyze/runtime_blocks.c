/* SPDX-License-Identifier: MIT */
#include "runtime_blocks.h"

#include "suppressions.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *const modules[] = {
#define RUNTIME_MODULE(pattern) pattern,
#include "runtime_blocks.def"
};

static const char *const owners[] = {
#define RUNTIME_OWNER(pattern) pattern,
#include "runtime_blocks.def"
};

static const char *const functions[] = {
#define RUNTIME_FUNCTION(pattern) pattern,
#include "runtime_blocks.def"
};

static bool matches_any(const char *const *patterns, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (suppression_matches(patterns[i], text))
            return true;
    return false;
}

bool runtime_blocks_include(const struct path_frames *frames)
{
    size_t inner = 0;
    for (; inner < frames->count; inner++) {
        const struct symbol_frame *frame = frames->items[inner];
        if (!matches_any(modules, COUNT(modules), frame->module))
            break;
        if (matches_any(functions, COUNT(functions), frame->function))
            return true;
    }
    return inner && ((inner == frames->count && !frames->truncated) ||
                     matches_any(owners, COUNT(owners), frames->items[0]->module));
}
