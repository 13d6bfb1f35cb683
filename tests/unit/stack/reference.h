/* SPDX-License-Identifier: MIT */
/* reference.h - the same stack as another implementation, libunwind, sees it. */
#ifndef TESTS_STACK_REFERENCE_H
#define TESTS_STACK_REFERENCE_H

#include "probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

int unw_backtrace(void **pcs, int size);

/* Take the stack here by both and compare; all frames but the first, which are two places in one
 * function. An interrupted frame's address is stored plus one. */
#define REFERENCE_AGREES(stack)                                                                    \
    do {                                                                                           \
        void *reference_pcs[MALLOCTAP_STACK_FRAMES_MAX];                                           \
        probe_take(MALLOCTAP_STACK_FRAMES_MAX, stack);                                             \
        int reference_count = unw_backtrace(reference_pcs, MALLOCTAP_STACK_FRAMES_MAX);            \
        assert_true((stack)->id != 0);                                                             \
        assert_int_equal((stack)->count, reference_count);                                         \
        for (int reference_i = 1; reference_i < reference_count; reference_i++)                    \
            assert_true((stack)->pcs[reference_i] - (uintptr_t)reference_pcs[reference_i] <= 1);   \
    } while (0)

#endif
