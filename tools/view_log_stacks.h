/* SPDX-License-Identifier: MIT */
/* view_log_stacks.h - the call path of each line of a log: read once for each distinct stack. */
#ifndef TOOLS_VIEW_LOG_STACKS_H
#define TOOLS_VIEW_LOG_STACKS_H

#include "emit.h"
#include "paths.h"

struct view_log_stack {
    bool matches; /* the pattern, if there is one */
    char *text;   /* as the format has it */
};

struct view_log_stacks {
    const struct malloctap_recording *recording;
    const char *function;
    enum emit_format format;
    struct symbols *symbols;
    struct path_frames frames;
    struct table index_of_id;
    struct view_log_stack *items;
    size_t count;
    size_t capacity;
};

void view_log_stacks_init(struct view_log_stacks *stacks,
                          const struct malloctap_recording *recording, const char *function,
                          enum emit_format format);
void view_log_stacks_deinit(struct view_log_stacks *stacks);

/* Valid until the next call. */
const struct view_log_stack *view_log_stacks_get(struct view_log_stacks *stacks, uint32_t id);

#endif
