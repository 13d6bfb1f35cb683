/* SPDX-License-Identifier: MIT */
#include "rule.h"

static bool in_words(int64_t offset, int16_t *ret)
{
    *ret = (int16_t)(offset / 8);
    return offset % 8 == 0 && offset / 8 == *ret;
}

/* The expression `register + offset`, or the word there: what compilers write for frames that
 * realign the stack. */
static bool simple_expression(int64_t block, const uint8_t *end, bool dereferenced, int16_t *ret)
{
    const uint8_t base_fp = 0x70 + ARCH_FP, dereference = 0x06;
    struct cursor cursor = {(const uint8_t *)(uintptr_t)block, end, false};
    struct cursor code = cursor_block(&cursor);
    bool simple = cursor_byte(&code) == base_fp && in_words(cursor_sleb(&code), ret) &&
                  (!dereferenced || cursor_byte(&code) == dereference);
    return simple && !code.failed && cursor_left(&code) == 0;
}

static bool shorten_cfa(const struct cfi_rules *rules, const uint8_t *end, struct rule *ret)
{
    if (rules->cfa_how == CFI_EXPRESSION) {
        ret->kind = RULE_CFA_AT_FP;
        return simple_expression(rules->cfa_value, end, true, &ret->cfa);
    }
    ret->kind = rules->cfa_column == ARCH_SP ? RULE_CFA_FROM_SP : RULE_CFA_FROM_FP;
    return (rules->cfa_column == ARCH_SP || rules->cfa_column == ARCH_FP) &&
           in_words(rules->cfa_value, &ret->cfa);
}

static bool shorten_fp(const struct cfi_rules *rules, const uint8_t *end, struct rule *ret)
{
    switch (rules->how[ARCH_FP]) {
    case CFI_SAME:
        ret->fp_how = RULE_FP_SAME;
        return true;
    case CFI_UNDEFINED:
        ret->fp_how = RULE_FP_LOST;
        return true;
    case CFI_AT_OFFSET:
        ret->fp_how = RULE_FP_FROM_CFA;
        return in_words(rules->value[ARCH_FP], &ret->fp);
    case CFI_AT_EXPRESSION:
        ret->fp_how = RULE_FP_FROM_FP;
        return simple_expression(rules->value[ARCH_FP], end, false, &ret->fp);
    default:
        return false;
    }
}

static struct rule shorten(const struct cfi_fde *fde, const struct cfi_rules *rules,
                           const uint8_t *end)
{
    struct rule rule = {.kind = RULE_NONE};
    uint64_t ra = fde->return_column;
    if (rules->how[ra] == CFI_UNDEFINED)
        return (struct rule){.kind = RULE_OUTERMOST};
    if (fde->signal_frame || rules->how[ARCH_SP] != CFI_SAME || rules->how[ra] != CFI_AT_OFFSET ||
        !in_words(rules->value[ra], &rule.ra) || !shorten_cfa(rules, end, &rule) ||
        !shorten_fp(rules, end, &rule))
        return (struct rule){.kind = RULE_COMPLEX};
    return rule;
}

static bool find_image(const struct module *module, struct cfi_image *ret)
{
    uintptr_t start, end, header = (uintptr_t)module->object.eh_frame_hdr;
    if (header == 0 || !objects_segment(&module->object, header, &start, &end))
        return false;
    ret->start = (const uint8_t *)start;
    ret->end = (const uint8_t *)end;
    ret->eh_frame_hdr = (const uint8_t *)header;
    return true;
}

bool rule_read_tables(const struct module *module, uintptr_t pc, struct rule_source *ret)
{
    return find_image(module, &ret->image) && cfi_find(&ret->image, pc, &ret->fde) &&
           cfi_rules_at(&ret->fde, pc, &ret->rules);
}

struct rule rule_learn(const struct module *module, uintptr_t pc)
{
    struct rule_source source;
    if (!objects_executable(&module->object, pc))
        return (struct rule){.kind = RULE_NOT_CODE};
    if (!rule_read_tables(module, pc, &source)) {
        /* No call returns to a function's first instruction: makecontext() and its like planted
         * that return address below the first frame of a coroutine. */
        bool planted = rule_read_tables(module, pc + 1, &source) && source.fde.low == pc + 1;
        return (struct rule){.kind = planted ? RULE_OUTERMOST : RULE_NOT_DESCRIBED};
    }
    return shorten(&source.fde, &source.rules, source.image.end);
}
