/* SPDX-License-Identifier: MIT */
/* measures.h - what compare measures of each run. */
#ifndef TOOLS_MEASURES_H
#define TOOLS_MEASURES_H

enum measure {
#define MEASURE(field, heading, unit, role) MEASURE_##field,
#include "measures.def"
#undef MEASURE
    MEASURES
};

enum measure_unit { UNIT_NANOSECONDS, UNIT_BYTES, UNIT_COUNT, UNIT_SHARE };
enum measure_role { ROLE_QUESTION, ROLE_DETAIL, ROLE_FACT };

struct measure_row {
    const char *field;
    const char *heading;
    enum measure_unit unit;
    enum measure_role role;
};
extern const struct measure_row measure_rows[MEASURES];

/* Of one run, one value a measure; NaN: not known. A run that does not count knows none. */
struct measures {
    double value[MEASURES];
};

void measures_clear(struct measures *ret);

#endif
