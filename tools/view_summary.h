/* SPDX-License-Identifier: MIT */
/* view_summary.h - a recording on one screen: what `summary` prints, and `run` at its end. */
#ifndef TOOLS_VIEW_SUMMARY_H
#define TOOLS_VIEW_SUMMARY_H

#include "emit.h"

#include <malloctap/reader.h>

#include <stdio.h>

/*
 * Print the summary as text, as far as the recording can be read. Colour only when `out` is a
 * terminal. Returns 0; or -1 with `error` set when some of it could not be read for another reason
 * than damage, which is noted in the text.
 */
int view_summary(struct malloctap_recording *recording, FILE *out, struct malloctap_error *error);

/* The same in any format. */
int view_summary_print(struct malloctap_recording *recording, enum emit_format format, FILE *out,
                       struct malloctap_error *error);

#endif
