/* SPDX-License-Identifier: MIT */
/* runtime_blocks.h - which blocks libc, libstdc++ and the loader keep for themselves. */
#ifndef ANALYZE_RUNTIME_BLOCKS_H
#define ANALYZE_RUNTIME_BLOCKS_H

#include "paths.h"

/* Are blocks of this stack the runtime's own, which live until the end by design? The list is in
 * runtime_blocks.def. */
bool runtime_blocks_include(const struct path_frames *frames);

#endif
