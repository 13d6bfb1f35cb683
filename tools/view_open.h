/* SPDX-License-Identifier: MIT */
/* view_open.h - what every command that looks at one recording does first. */
#ifndef TOOLS_VIEW_OPEN_H
#define TOOLS_VIEW_OPEN_H

#include "aggregate.h"
#include "options.h"

#include <malloctap/reader.h>

/* Open the one recording that remains on the command line. NULL after saying what is wrong. */
struct malloctap_recording *view_open(const struct command_usage *usage, int argc, char **argv);

bool view_has_thread(const struct malloctap_recording *recording, uint32_t tid);

/* A damaged recording shows what can be read, and says on stderr in one line that it is not all. */
void view_warn_damage(const struct aggregate *aggregate);

#endif
