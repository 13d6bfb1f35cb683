/* SPDX-License-Identifier: MIT */
/* backend.h - from what the user asked for to what goes into LD_PRELOAD. */
#ifndef TOOLS_BACKEND_H
#define TOOLS_BACKEND_H

#include "backend_spec.h"
#include "program_check.h"

#include <limits.h>
#include <stdbool.h>

struct backend {
    struct backend_spec spec;
    char library[PATH_MAX]; /* to preload behind the tap; "": the tap has the backend built in */
};

/* Parse `-b` and find its allocator. 0, or -1 after filling `message`. */
int backend_init(const char *text, struct backend *ret, char *message, size_t size);
void backend_deinit(struct backend *backend);

/*
 * A program may call the allocator that it is linked with by names of that library's own, mallocx()
 * and the like. Then its blocks come from there, and any backend that has not these names too would
 * be given blocks it did not make. 0, or -1 after filling `message`.
 */
int backend_check(const struct backend *backend, const struct program *program, char *message,
                  size_t size);

/* LD_PRELOAD is a list: separated by spaces and colons, with $ORIGIN and the like replaced. False:
 * this path cannot be one of it. */
bool preload_can_carry(const char *path);

#endif
