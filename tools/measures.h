/* SPDX-License-Identifier: MIT */
/* measures.h - what compare measures of each run. */
#ifndef TOOLS_MEASURES_H
#define TOOLS_MEASURES_H

enum measure {
#define MEASURE(field, heading, unit) MEASURE_##field,
#include "measures.def"
#undef MEASURE
    MEASURES
};

enum measure_unit { UNIT_NANOSECONDS, UNIT_BYTES, UNIT_COUNT };

/* One value a measure; NaN: not known. */
struct measures {
    double value[MEASURES];
};

#endif
