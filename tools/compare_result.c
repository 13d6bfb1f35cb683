/* SPDX-License-Identifier: MIT */
/* compare_result.c - what is made of the runs. */
#include "compare.h"

#include <analyze_memory.h>

#include <stdlib.h>

void compare_result_init(const struct compare *compare, struct compare_result *ret)
{
    const struct compare_item *plain = compare_plain(compare), *first = &compare->items[0];
    struct verdict_series *series = memory_zeroed(compare->backend_count, sizeof *series);
    *ret = (struct compare_result){.compare = compare};
    ret->backends = memory_zeroed(compare->backend_count, sizeof *ret->backends);
    for (size_t i = 0; i < compare->backend_count; i++)
        series[i] = (struct verdict_series){compare->items[i].name, compare->items[i].rounds};
    verdicts_reach(series, compare->backend_count, compare->rounds, ret->backends);
    if (plain) {
        const struct verdict_series tap[] = {{plain->name, plain->rounds},
                                             {first->name, first->rounds}};
        verdicts_reach(tap, 2, compare->rounds, ret->tap);
    }
    free(series);
}

void compare_result_deinit(struct compare_result *result)
{
    free(result->backends);
}
