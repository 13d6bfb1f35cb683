/* SPDX-License-Identifier: MIT */
/* cfi_rules.c - run the call frame programs of an entry up to a pc. */
#include "cfi.h"

/* Compilers nest remember_state once; what nests deeper is refused. */
#define REMEMBERED_MAX 3

enum cfa_op {
    /* the two high bits; the low ones are an operand */
    CFA_ADVANCE = 0x40,
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    /* the others */
    CFA_NOP = 0x00,
    CFA_ADVANCE_1 = 0x02,
    CFA_ADVANCE_2 = 0x03,
    CFA_ADVANCE_4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER_STATE = 0x0a,
    CFA_RESTORE_STATE = 0x0b,
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_REGISTER = 0x0d,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_DEF_CFA_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SF = 0x11,
    CFA_DEF_CFA_SF = 0x12,
    CFA_DEF_CFA_OFFSET_SF = 0x13,
    CFA_VAL_OFFSET = 0x14,
    CFA_VAL_OFFSET_SF = 0x15,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_NEGATE_RA_STATE = 0x2d, /* AArch64; on SPARC, window_save */
    CFA_GNU_ARGS_SIZE = 0x2e,
    CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

/* The operations whose first operand is a register. */
#define REGISTER_OPS                                                                               \
    (1ULL << CFA_OFFSET_EXTENDED | 1ULL << CFA_RESTORE_EXTENDED | 1ULL << CFA_UNDEFINED |          \
     1ULL << CFA_SAME_VALUE | 1ULL << CFA_REGISTER | 1ULL << CFA_EXPRESSION |                      \
     1ULL << CFA_OFFSET_EXTENDED_SF | 1ULL << CFA_VAL_OFFSET | 1ULL << CFA_VAL_OFFSET_SF |         \
     1ULL << CFA_VAL_EXPRESSION | 1ULL << CFA_GNU_NEGATIVE_OFFSET_EXTENDED)

struct machine {
    const struct cfi_fde *fde;
    struct cfi_rules *rules;
    const struct cfi_rules *initial; /* after the common program; NULL while it runs */
    uint32_t remembered;
    struct cfi_rules stack[REMEMBERED_MAX];
};

static void set(struct machine *machine, uint64_t column, enum cfi_how how, int64_t value)
{
    if (column >= ARCH_COLUMNS)
        return; /* a vector or flag register: no frame is found through it */
    machine->rules->how[column] = (uint8_t)how;
    machine->rules->value[column] = value;
}

static void set_cfa(struct machine *machine, uint64_t column, int64_t offset)
{
    machine->rules->cfa_how = CFI_OFFSET;
    machine->rules->cfa_column = column < ARCH_COLUMNS ? (uint32_t)column : ARCH_COLUMNS;
    machine->rules->cfa_value = offset;
}

static void restore(struct machine *machine, uint64_t column)
{
    if (column < ARCH_COLUMNS && machine->initial != NULL)
        set(machine, column, machine->initial->how[column], machine->initial->value[column]);
}

/* The block at the cursor, by its address. */
static int64_t expression(struct cursor *program)
{
    int64_t at = (int64_t)(uintptr_t)program->at;
    cursor_block(program);
    return at;
}

/* How far `op` moves on in the code; 0 when it does not. */
static uint64_t advance(const struct cfi_fde *fde, uint8_t op, struct cursor *program)
{
    if ((op & 0xc0) == CFA_ADVANCE)
        return (op & 0x3f) * fde->code_align;
    if (op >= CFA_ADVANCE_1 && op <= CFA_ADVANCE_4)
        return cursor_unsigned(program, 1u << (op - CFA_ADVANCE_1)) * fde->code_align;
    return 0;
}

static bool state_op(struct machine *machine, uint8_t op, struct cursor *program)
{
    switch (op) {
    case CFA_REMEMBER_STATE:
        if (machine->remembered == REMEMBERED_MAX)
            return false;
        machine->stack[machine->remembered++] = *machine->rules;
        return true;
    case CFA_RESTORE_STATE:
        if (machine->remembered == 0)
            return false;
        *machine->rules = machine->stack[--machine->remembered];
        return true;
    case CFA_GNU_ARGS_SIZE:
        cursor_uleb(program);
        return true;
    case CFA_NOP:
    case CFA_NEGATE_RA_STATE: /* signature bits are always stripped */
        return true;
    default:
        return false;
    }
}

static bool cfa_op(struct machine *machine, uint8_t op, struct cursor *program)
{
    struct cfi_rules *rules = machine->rules;
    int64_t align = machine->fde->data_align;
    uint64_t column = rules->cfa_column;
    switch (op) {
    case CFA_DEF_CFA:
        column = cursor_uleb(program);
        set_cfa(machine, column, (int64_t)cursor_uleb(program));
        return true;
    case CFA_DEF_CFA_SF:
        column = cursor_uleb(program);
        set_cfa(machine, column, (int64_t)((uint64_t)cursor_sleb(program) * (uint64_t)align));
        return true;
    case CFA_DEF_CFA_REGISTER:
        set_cfa(machine, cursor_uleb(program), rules->cfa_value);
        return true;
    case CFA_DEF_CFA_OFFSET:
        set_cfa(machine, column, (int64_t)cursor_uleb(program));
        return true;
    case CFA_DEF_CFA_OFFSET_SF:
        set_cfa(machine, column, (int64_t)((uint64_t)cursor_sleb(program) * (uint64_t)align));
        return true;
    case CFA_DEF_CFA_EXPRESSION:
        rules->cfa_how = CFI_EXPRESSION;
        rules->cfa_value = expression(program);
        return true;
    default:
        return state_op(machine, op, program);
    }
}

static bool register_op(struct machine *machine, uint8_t op, struct cursor *program)
{
    uint64_t align = (uint64_t)machine->fde->data_align;
    if (op >= 64 || !(REGISTER_OPS >> op & 1))
        return cfa_op(machine, op, program);
    uint64_t column = cursor_uleb(program);
    switch (op) {
    case CFA_RESTORE_EXTENDED:
        restore(machine, column);
        return true;
    case CFA_UNDEFINED:
        set(machine, column, CFI_UNDEFINED, 0);
        return true;
    case CFA_SAME_VALUE:
        set(machine, column, CFI_SAME, 0);
        return true;
    case CFA_REGISTER:
        set(machine, column, CFI_REGISTER, (int64_t)cursor_uleb(program));
        return true;
    case CFA_OFFSET_EXTENDED:
        set(machine, column, CFI_AT_OFFSET, (int64_t)(cursor_uleb(program) * align));
        return true;
    case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
        set(machine, column, CFI_AT_OFFSET, (int64_t) - (cursor_uleb(program) * align));
        return true;
    case CFA_OFFSET_EXTENDED_SF:
        set(machine, column, CFI_AT_OFFSET, (int64_t)((uint64_t)cursor_sleb(program) * align));
        return true;
    case CFA_VAL_OFFSET:
        set(machine, column, CFI_OFFSET, (int64_t)(cursor_uleb(program) * align));
        return true;
    case CFA_VAL_OFFSET_SF:
        set(machine, column, CFI_OFFSET, (int64_t)((uint64_t)cursor_sleb(program) * align));
        return true;
    case CFA_EXPRESSION:
        set(machine, column, CFI_AT_EXPRESSION, expression(program));
        return true;
    default:
        set(machine, column, CFI_EXPRESSION, expression(program));
        return true;
    }
}

static bool run(struct machine *machine, struct cursor program, uintptr_t pc)
{
    uintptr_t location = machine->fde->low;
    while (cursor_left(&program) > 0) {
        uint8_t op = cursor_byte(&program), operand = op & 0x3f;
        uint64_t step = advance(machine->fde, op, &program);
        if (program.failed)
            return false;
        location += step;
        if (step != 0 && location > pc)
            return true;
        if ((op & 0xc0) == CFA_ADVANCE || (op >= CFA_ADVANCE_1 && op <= CFA_ADVANCE_4))
            continue;
        if ((op & 0xc0) == CFA_OFFSET)
            set(machine, operand, CFI_AT_OFFSET,
                (int64_t)(cursor_uleb(&program) * (uint64_t)machine->fde->data_align));
        else if ((op & 0xc0) == CFA_RESTORE)
            restore(machine, operand);
        else if (!register_op(machine, op, &program))
            return false;
    }
    return !program.failed;
}

bool cfi_rules_at(const struct cfi_fde *fde, uintptr_t pc, struct cfi_rules *ret)
{
    struct cfi_rules initial;
    struct machine machine;
    machine.fde = fde;
    machine.rules = ret;
    machine.initial = NULL;
    machine.remembered = 0;
    memset(ret, 0, sizeof(*ret));
    ret->cfa_column = ARCH_COLUMNS; /* none yet */
    /* No location of the common program lies behind the last address. */
    if (!run(&machine, fde->common_program, UINTPTR_MAX))
        return false;
    initial = *ret;
    machine.initial = &initial;
    machine.remembered = 0;
    return run(&machine, fde->program, pc);
}
