/* SPDX-License-Identifier: MIT */
/*
 * reader_packed.h - a recording compressed by `malloctap pack`, read as if it were not.
 *
 * It is a file in zstd's seekable format: independent frames, and behind them, in a frame that
 * decoders skip, a table of their sizes. A part of the recording is had by decompressing the few
 * frames it lies in; those decompressed last are kept. Frames of a log are in columns (columns.h),
 * which a bit in the header says; what is read is the recording as it was, without that bit.
 */
#ifndef READER_PACKED_H
#define READER_PACKED_H

#include <malloctap/reader.h>

#include <sys/types.h>

struct reader_packed;

/* Does a file with these first bytes claim to be packed? */
bool reader_packed_is(const uint8_t *bytes, size_t size);

/* `fd` stays the caller's and must remain open. */
int reader_packed_open(int fd, const char *path, struct reader_packed **ret,
                       struct malloctap_error *error);
void reader_packed_close(struct reader_packed *packed);

/* Size of the recording. */
uint64_t reader_packed_size(const struct reader_packed *packed);

/* Read some of the bytes at `offset`, at least one and at most `size`. 0: there are none. -1: the
 * file cannot be read or is damaged, with errno (EBADMSG: damaged). */
ssize_t reader_packed_read(struct reader_packed *packed, uint64_t offset, void *buffer,
                           size_t size);

#endif
