/* SPDX-License-Identifier: MIT */
/* expression.h - the DWARF expressions that unwind tables use, within bounds of time and space. */
#ifndef PRELOAD_STACK_EXPRESSION_H
#define PRELOAD_STACK_EXPRESSION_H

#include "cursor.h"
#include "registers.h"
#include "view.h"

enum expression_result {
    EXPRESSION_DONE,
    EXPRESSION_UNKNOWN, /* it needs a register that is not known */
    EXPRESSION_FAILED,
};

/* Evaluate `code`; `initial`, when not NULL, is on its stack at the start (the CFA, in a register's
 * rule). Memory is read through the view. */
enum expression_result expression_evaluate(struct cursor code, const struct registers *registers,
                                           struct stack_view *view, const uint64_t *initial,
                                           uint64_t *ret);

#endif
