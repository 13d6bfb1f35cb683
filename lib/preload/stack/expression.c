/* SPDX-License-Identifier: MIT */
#include "expression.h"

#define OPERANDS_MAX 16
#define STEPS_MAX 200 /* branches may go back */

enum expression_op {
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08, /* then const1s, const2u, ... const8s */
    OP_CONST8S = 0x0f,
    OP_CONSTU = 0x10,
    OP_CONSTS = 0x11,
    OP_DUP = 0x12,
    OP_DROP = 0x13,
    OP_OVER = 0x14,
    OP_PICK = 0x15,
    OP_SWAP = 0x16,
    OP_ROT = 0x17,
    OP_ABS = 0x19,
    OP_AND = 0x1a,
    OP_DIV = 0x1b,
    OP_MINUS = 0x1c,
    OP_MOD = 0x1d,
    OP_MUL = 0x1e,
    OP_NEG = 0x1f,
    OP_NOT = 0x20,
    OP_OR = 0x21,
    OP_PLUS = 0x22,
    OP_PLUS_UCONST = 0x23,
    OP_SHL = 0x24,
    OP_SHR = 0x25,
    OP_SHRA = 0x26,
    OP_XOR = 0x27,
    OP_BRA = 0x28,
    OP_EQ = 0x29,
    OP_GE = 0x2a,
    OP_GT = 0x2b,
    OP_LE = 0x2c,
    OP_LT = 0x2d,
    OP_NE = 0x2e,
    OP_SKIP = 0x2f,
    OP_LIT0 = 0x30,
    OP_LIT31 = 0x4f,
    OP_BREG0 = 0x70,
    OP_BREG31 = 0x8f,
    OP_BREGX = 0x92,
    OP_DEREF_SIZE = 0x94,
    OP_NOP = 0x96,
};

struct evaluation {
    const struct registers *registers;
    struct stack_view *view;
    const uint8_t *start; /* branches stay between it and the cursor's end */
    struct cursor code;
    uint32_t depth;
    enum expression_result result;
    uint64_t operands[OPERANDS_MAX];
};

static uint64_t fail(struct evaluation *evaluation, enum expression_result why)
{
    if (evaluation->result == EXPRESSION_DONE)
        evaluation->result = why;
    return 0;
}

static void push(struct evaluation *evaluation, uint64_t value)
{
    if (evaluation->depth == OPERANDS_MAX)
        fail(evaluation, EXPRESSION_FAILED);
    else
        evaluation->operands[evaluation->depth++] = value;
}

/* The operand `below` the top, which stays. */
static uint64_t peek(struct evaluation *evaluation, uint32_t below)
{
    if (below >= evaluation->depth)
        return fail(evaluation, EXPRESSION_FAILED);
    return evaluation->operands[evaluation->depth - 1 - below];
}

static uint64_t pop(struct evaluation *evaluation)
{
    uint64_t value = peek(evaluation, 0);
    if (evaluation->depth > 0)
        evaluation->depth--;
    return value;
}

static void push_register(struct evaluation *evaluation, uint64_t column)
{
    uint64_t offset = (uint64_t)cursor_sleb(&evaluation->code);
    if (registers_know(evaluation->registers, column))
        push(evaluation, evaluation->registers->value[column] + offset);
    else
        fail(evaluation, column < ARCH_COLUMNS ? EXPRESSION_UNKNOWN : EXPRESSION_FAILED);
}

static void dereference(struct evaluation *evaluation, uint8_t size)
{
    uint64_t word = 0;
    if ((size != 1 && size != 2 && size != 4 && size != 8) ||
        !stack_view_read(evaluation->view, pop(evaluation), &word))
        fail(evaluation, EXPRESSION_FAILED);
    push(evaluation, size >= 8 ? word : word & ((1ULL << 8 * size) - 1));
}

static void branch(struct evaluation *evaluation, bool taken)
{
    struct cursor *code = &evaluation->code;
    int64_t offset = cursor_signed(code, 2);
    if (!taken)
        return;
    if (offset > code->end - code->at || offset < evaluation->start - code->at)
        fail(evaluation, EXPRESSION_FAILED);
    else
        code->at += offset;
}

static uint64_t divide(struct evaluation *evaluation, uint8_t op, uint64_t left, uint64_t right)
{
    if (right == 0)
        return fail(evaluation, EXPRESSION_FAILED);
    if (op == OP_MOD)
        return left % right;
    /* Signed; the one quotient that does not fit wraps. */
    return right == UINT64_MAX ? -left : (uint64_t)((int64_t)left / (int64_t)right);
}

static void binary(struct evaluation *evaluation, uint8_t op)
{
    uint64_t right = pop(evaluation), left = pop(evaluation);
    int64_t a = (int64_t)left, b = (int64_t)right;
    const uint64_t sign = a < 0 ? UINT64_MAX : 0;
    switch (op) {
    case OP_AND:
        return push(evaluation, left & right);
    case OP_DIV:
    case OP_MOD:
        return push(evaluation, divide(evaluation, op, left, right));
    case OP_MINUS:
        return push(evaluation, left - right);
    case OP_MUL:
        return push(evaluation, left * right);
    case OP_OR:
        return push(evaluation, left | right);
    case OP_PLUS:
        return push(evaluation, left + right);
    case OP_SHL:
        return push(evaluation, right < 64 ? left << right : 0);
    case OP_SHR:
        return push(evaluation, right < 64 ? left >> right : 0);
    case OP_SHRA:
        return push(evaluation, right < 64 ? (uint64_t)(a >> right) : sign);
    case OP_XOR:
        return push(evaluation, left ^ right);
    case OP_EQ:
        return push(evaluation, a == b);
    case OP_GE:
        return push(evaluation, a >= b);
    case OP_GT:
        return push(evaluation, a > b);
    case OP_LE:
        return push(evaluation, a <= b);
    case OP_LT:
        return push(evaluation, a < b);
    case OP_NE:
        return push(evaluation, a != b);
    default:
        fail(evaluation, EXPRESSION_FAILED);
    }
}

static void rearrange(struct evaluation *evaluation, uint8_t op)
{
    uint64_t first, second, third;
    switch (op) {
    case OP_DUP:
        return push(evaluation, peek(evaluation, 0));
    case OP_DROP:
        pop(evaluation);
        return;
    case OP_OVER:
        return push(evaluation, peek(evaluation, 1));
    case OP_PICK:
        return push(evaluation, peek(evaluation, cursor_byte(&evaluation->code)));
    case OP_SWAP:
        first = pop(evaluation), second = pop(evaluation);
        push(evaluation, first);
        return push(evaluation, second);
    default: /* OP_ROT */
        first = pop(evaluation), second = pop(evaluation), third = pop(evaluation);
        push(evaluation, first);
        push(evaluation, third);
        return push(evaluation, second);
    }
}

static void constant(struct evaluation *evaluation, uint8_t op)
{
    size_t size = 1u << (op - OP_CONST1U) / 2;
    if (op == OP_CONSTU)
        push(evaluation, cursor_uleb(&evaluation->code));
    else if (op == OP_CONSTS)
        push(evaluation, (uint64_t)cursor_sleb(&evaluation->code));
    else if ((op - OP_CONST1U) % 2 == 0)
        push(evaluation, cursor_unsigned(&evaluation->code, size));
    else
        push(evaluation, (uint64_t)cursor_signed(&evaluation->code, size));
}

static void execute(struct evaluation *evaluation, uint8_t op)
{
    int64_t value;
    if (op >= OP_LIT0 && op <= OP_LIT31)
        return push(evaluation, op - OP_LIT0);
    if (op >= OP_BREG0 && op <= OP_BREG31)
        return push_register(evaluation, op - OP_BREG0);
    if (op >= OP_CONST1U && op <= OP_CONSTS)
        return constant(evaluation, op);
    if (op >= OP_DUP && op <= OP_ROT)
        return rearrange(evaluation, op);
    switch (op) {
    case OP_NOP:
        return;
    case OP_BREGX:
        return push_register(evaluation, cursor_uleb(&evaluation->code));
    case OP_DEREF:
        return dereference(evaluation, 8);
    case OP_DEREF_SIZE:
        return dereference(evaluation, cursor_byte(&evaluation->code));
    case OP_PLUS_UCONST:
        return push(evaluation, pop(evaluation) + cursor_uleb(&evaluation->code));
    case OP_ABS:
        value = (int64_t)pop(evaluation);
        return push(evaluation, value < 0 ? -(uint64_t)value : (uint64_t)value);
    case OP_NEG:
        return push(evaluation, -pop(evaluation));
    case OP_NOT:
        return push(evaluation, ~pop(evaluation));
    case OP_BRA:
        return branch(evaluation, pop(evaluation) != 0);
    case OP_SKIP:
        return branch(evaluation, true);
    default:
        return binary(evaluation, op);
    }
}

enum expression_result expression_evaluate(struct cursor code, const struct registers *registers,
                                           struct stack_view *view, const uint64_t *initial,
                                           uint64_t *ret)
{
    struct evaluation evaluation;
    evaluation.registers = registers;
    evaluation.view = view;
    evaluation.start = code.at;
    evaluation.code = code;
    evaluation.depth = 0;
    evaluation.result = EXPRESSION_DONE;
    if (initial != NULL)
        push(&evaluation, *initial);
    for (uint32_t i = 0; cursor_left(&evaluation.code) > 0; i++) {
        if (i == STEPS_MAX)
            return EXPRESSION_FAILED;
        execute(&evaluation, cursor_byte(&evaluation.code));
        if (evaluation.code.failed)
            fail(&evaluation, EXPRESSION_FAILED);
        if (evaluation.result != EXPRESSION_DONE)
            return evaluation.result;
    }
    *ret = pop(&evaluation);
    return evaluation.result;
}
