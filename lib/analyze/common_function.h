/* SPDX-License-Identifier: MIT */
/* common_function.h - the one function that says where most of a ranking comes from. */
#ifndef ANALYZE_COMMON_FUNCTION_H
#define ANALYZE_COMMON_FUNCTION_H

#include "ranking.h"

/*
 * Of all functions under which most of what is ranked lies (two thirds), the innermost: the one
 * with the most callers above it, on average. NULL: there is none with a name. *share (of 1) is
 * what lies under it.
 */
const char *common_function(const struct ranking *ranking, enum ranking_by by, double *share);

#endif
