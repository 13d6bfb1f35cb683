/* SPDX-License-Identifier: MIT */
/* builder_log.h - the encoding of a log, written from docs/FORMAT.md: it shares no code with the
 * preload object's, so that the two check each other. */
#ifndef SUPPORT_BUILDER_LOG_H
#define SUPPORT_BUILDER_LOG_H

#include "recording_builder.h"

struct builder_log_base {
    uint64_t ticks;
    uint64_t address;
    uint32_t stack;
};

/* Encode a call relative to `base`, which moves on. Returns the number of bytes. */
size_t builder_log_encode(const struct recording_builder_call *call, struct builder_log_base *base,
                          uint8_t bytes[MALLOCTAP_LOG_EVENT_MAX]);

#endif
