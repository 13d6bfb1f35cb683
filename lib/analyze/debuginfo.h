/* SPDX-License-Identifier: MIT */
/*
 * debuginfo.h - functions, inlined functions and lines from DWARF.
 *
 * elfutils can answer one address by walking a whole unit, which is too slow for 10^5 of them, and
 * finds units by .debug_aranges, which clang does not write. So the units' ranges are collected
 * once, and the functions of a unit when the first address in it is asked for.
 */
#ifndef ANALYZE_DEBUGINFO_H
#define ANALYZE_DEBUGINFO_H

#include "object.h"

#include <elfutils/libdw.h>

struct debuginfo;

/* `dwarf` must outlive the result. */
struct debuginfo *debuginfo_create(Dwarf *dwarf);
void debuginfo_destroy(struct debuginfo *debuginfo);

/*
 * As object_resolve(), for an address in the numbering of the DWARF. Returns 0 when it is in no
 * known unit. The function of the last frame may be NULL (assembly has lines but no functions).
 */
size_t debuginfo_resolve(struct debuginfo *debuginfo, uint64_t address,
                         struct object_frame frames[OBJECT_FRAMES_MAX]);

#endif
