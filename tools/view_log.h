/* SPDX-License-Identifier: MIT */
/* view_log.h - every record in order of time, a line each: as text, JSON and CSV. */
#ifndef TOOLS_VIEW_LOG_H
#define TOOLS_VIEW_LOG_H

#include "emit.h"

#include <malloctap/reader.h>

/* What to show. */
struct view_log_query {
    uint64_t since_ns;    /* from the start of the recording; */
    uint64_t until_ns;    /* UINT64_MAX: to its end */
    uint32_t ops;         /* bits, 1 << enum malloctap_op */
    const char *thread;   /* a thread's number or name; NULL: all */
    uint64_t min_size;    /* of what was requested; */
    uint64_t max_size;    /* UINT64_MAX: any. Frees have no size */
    const char *function; /* shell pattern that one of the frames must match; NULL: any */
    bool stacks;          /* print the call paths too */
    uint64_t rows_max;    /* 0: all */
};

/* Memory grows with the threads and the distinct stacks that are shown, not with the records.
 * Returns 0, or -1 with `error` set; damaged parts are told of on stderr. */
int view_log_print(const struct malloctap_recording *recording, const struct view_log_query *query,
                   enum emit_format format, FILE *out, struct malloctap_error *error);

#endif
