/* SPDX-License-Identifier: MIT */
/* cfi_step.c - apply rules to registers. */
#include "cfi.h"

#include "expression.h"

static enum cfi_step evaluate(int64_t block, const uint8_t *end, const struct registers *registers,
                              struct stack_view *view, const uint64_t *cfa, uint64_t *ret)
{
    struct cursor cursor = {(const uint8_t *)(uintptr_t)block, end, false};
    struct cursor code = cursor_block(&cursor);
    if (code.failed)
        return CFI_STEP_FAILED;
    switch (expression_evaluate(code, registers, view, cfa, ret)) {
    case EXPRESSION_DONE:
        return CFI_STEP_CALLER;
    case EXPRESSION_UNKNOWN:
        return CFI_STEP_UNKNOWN;
    default:
        return CFI_STEP_FAILED;
    }
}

static enum cfi_step find_cfa(const struct cfi_rules *rules, const uint8_t *end,
                              struct stack_view *view, const struct registers *registers,
                              uint64_t *ret)
{
    if (rules->cfa_how == CFI_EXPRESSION)
        return evaluate(rules->cfa_value, end, registers, view, NULL, ret);
    if (rules->cfa_column >= ARCH_COLUMNS)
        return CFI_STEP_FAILED;
    if (!registers_know(registers, rules->cfa_column))
        return CFI_STEP_UNKNOWN;
    *ret = registers->value[rules->cfa_column] + (uint64_t)rules->cfa_value;
    return CFI_STEP_CALLER;
}

/* One column's value in the caller's frame. */
static enum cfi_step recover(const struct cfi_rules *rules, uint32_t column, uint64_t cfa,
                             const uint8_t *end, struct stack_view *view,
                             const struct registers *registers, uint64_t *ret)
{
    uint64_t value = (uint64_t)rules->value[column];
    enum cfi_step step;
    switch (rules->how[column]) {
    case CFI_SAME:
        value = column;
        /* fallthrough */
    case CFI_REGISTER:
        if (!registers_know(registers, value))
            return CFI_STEP_UNKNOWN;
        *ret = registers->value[value];
        return CFI_STEP_CALLER;
    case CFI_AT_OFFSET:
        return stack_view_read(view, cfa + value, ret) ? CFI_STEP_CALLER : CFI_STEP_FAILED;
    case CFI_OFFSET:
        *ret = cfa + value;
        return CFI_STEP_CALLER;
    case CFI_AT_EXPRESSION:
        step = evaluate((int64_t)value, end, registers, view, &cfa, ret);
        if (step == CFI_STEP_CALLER && !stack_view_read(view, *ret, ret))
            return CFI_STEP_FAILED;
        return step;
    case CFI_EXPRESSION:
        return evaluate((int64_t)value, end, registers, view, &cfa, ret);
    default: /* CFI_UNDEFINED */
        return CFI_STEP_UNKNOWN;
    }
}

enum cfi_step cfi_step(const struct cfi_fde *fde, const struct cfi_rules *rules,
                       const uint8_t *image_end, struct stack_view *view,
                       struct registers *registers)
{
    struct registers caller = {.known = 0};
    uint64_t cfa, value;
    if (rules->how[fde->return_column] == CFI_UNDEFINED)
        return CFI_STEP_OUTERMOST;
    enum cfi_step step = find_cfa(rules, image_end, view, registers, &cfa);
    if (step != CFI_STEP_CALLER)
        return step;
    for (uint32_t column = 0; column < ARCH_COLUMNS; column++) {
        bool is_sp = column == ARCH_SP && rules->how[column] == CFI_SAME;
        /* The CFA is by definition the caller's stack pointer, unless the tables say otherwise. */
        step = is_sp ? CFI_STEP_CALLER
                     : recover(rules, column, cfa, image_end, view, registers, &value);
        if (step == CFI_STEP_CALLER) {
            caller.value[column] = is_sp ? cfa : value;
            caller.known |= 1ULL << column;
        } else if (column == fde->return_column || column == ARCH_SP) {
            return step;
        }
    }
    caller.pc = arch_code_address(caller.value[fde->return_column]);
    caller.exact = fde->signal_frame;
    /* What the column held is spent: only an interrupted function may still have it in place. */
    if (!fde->signal_frame)
        caller.known &= ~(1ULL << fde->return_column);
    *registers = caller;
    return CFI_STEP_CALLER;
}
