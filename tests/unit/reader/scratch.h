/* SPDX-License-Identifier: MIT */
/* scratch.h - a recording in a file of its own, for one test. */
#ifndef UNIT_READER_SCRATCH_H
#define UNIT_READER_SCRATCH_H

#include <malloctap/reader.h>

#include "recording_builder.h"

/* The file: one a process, removed at its end. */
const char *scratch_path(void);

/* Replace the file's contents. */
void scratch_write(const void *bytes, size_t size);

/* Write what the builder holds, destroy it, and open the file; a test fails where that fails. */
struct malloctap_recording *scratch_open(struct recording_builder *builder);

/* Open the file as it is now. */
struct malloctap_recording *scratch_reopen(void);

/* The file must be refused with exactly this after "PATH: ". */
void scratch_expect_refused(const char *text);

/* `error` must be exactly "PATH: " and this. */
void scratch_expect_error(const struct malloctap_error *error, const char *text);

#endif
