/* SPDX-License-Identifier: MIT */
/* reader_cursor.c - all records, a chunk at a time, in order of claim. */
#include "reader_chunk.h"

#include <stdlib.h>

struct malloctap_cursor {
    const struct malloctap_recording *recording;
    struct reader_claims claims;
    size_t next; /* the claim to copy next */
    struct reader_chunk chunk;
};

int malloctap_cursor_open(const struct malloctap_recording *recording,
                          struct malloctap_cursor **ret, struct malloctap_error *error)
{
    struct malloctap_cursor *cursor = calloc(1, sizeof(*cursor));
    if (cursor == NULL || !reader_claims_list(recording, 0, UINT64_MAX, &cursor->claims)) {
        free(cursor);
        return reader_error_set(error, recording->file->path,
                                "out of memory; close other programs");
    }
    cursor->recording = recording;
    *ret = cursor;
    return 0;
}

void malloctap_cursor_close(struct malloctap_cursor *cursor)
{
    if (cursor == NULL)
        return;
    reader_claims_deinit(&cursor->claims);
    reader_chunk_deinit(&cursor->chunk);
    free(cursor);
}

int malloctap_cursor_next(struct malloctap_cursor *cursor, struct malloctap_event *ret,
                          struct malloctap_error *error)
{
    for (;;) {
        int result = reader_chunk_next(&cursor->chunk, cursor->recording, error);
        if (result == 1)
            *ret = reader_chunk_event(&cursor->chunk);
        if (result != 0)
            return result;
        if (cursor->next == cursor->claims.count)
            return 0;
        result = reader_chunk_copy(&cursor->chunk, cursor->recording,
                                   &cursor->claims.items[cursor->next++], error);
        if (result == READER_UNREADABLE)
            cursor->next = cursor->claims.count;
        if (result < 0)
            return -1;
    }
}
