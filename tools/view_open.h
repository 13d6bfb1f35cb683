/* SPDX-License-Identifier: MIT */
/* view_open.h - what every command that looks at one recording does first. */
#ifndef TOOLS_VIEW_OPEN_H
#define TOOLS_VIEW_OPEN_H

#include "aggregate.h"
#include "emit.h"
#include "options.h"

#include <malloctap/reader.h>

/* The options that every view has; the keys leave room for a view's own. */
enum { VIEW_JSON = OPTION_LONG + 100, VIEW_CSV };
#define VIEW_FORMAT_ROWS                                                                           \
    {VIEW_JSON, "json", NULL, "print JSON"},                                                       \
    {                                                                                              \
        VIEW_CSV, "csv", NULL, "print comma-separated values"                                      \
    }

/* Parse the options of a view that has no others. 0; or -1 when there is nothing more to do, with
 * the exit status in *status. */
int view_parse_format(const struct command_usage *usage, int argc, char **argv,
                      enum emit_format *ret, int *status);

/* Open the one recording that remains on the command line. NULL after saying what is wrong. */
struct malloctap_recording *view_open(const struct command_usage *usage, int argc, char **argv);

/* The value of --thread, in `optarg`. 0, or an exit status after saying what is wrong. */
int view_parse_thread(uint32_t *ret);

/* 0, also with tid 0; or an exit status after saying that there is no such thread. Where threads
 * were summed up, any may be one of them, whose calls are still told apart but not its counters. */
int view_check_thread(const struct malloctap_recording *recording, uint32_t tid, bool counters);

/* Say on stderr what could not be read of it, if anything: the last thing to do with a recording.
 */
void view_warn_unread(const struct malloctap_recording *recording);

/* A damaged recording shows what can be read, and says on stderr in one line that it is not all. */
void view_warn_damage(const struct aggregate *aggregate);

#endif
