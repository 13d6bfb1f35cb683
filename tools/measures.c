/* SPDX-License-Identifier: MIT */
#include "measures.h"

#include <math.h>

const struct measure_row measure_rows[MEASURES] = {
#define MEASURE(field, heading, unit, role) {#field, heading, UNIT_##unit, ROLE_##role},
#include "measures.def"
#undef MEASURE
};

void measures_clear(struct measures *ret)
{
    for (int i = 0; i < MEASURES; i++)
        ret->value[i] = NAN;
}
