/* SPDX-License-Identifier: MIT */
/*
 * cfi.h - what .eh_frame says about one place in the code: how to get from a frame's registers to
 * its caller's. Plain parsing: no memory but the caller's, no reading outside the image, any bytes
 * are safe to feed.
 */
#ifndef PRELOAD_STACK_CFI_H
#define PRELOAD_STACK_CFI_H

#include "cursor.h"
#include "registers.h"
#include "view.h"

/* The readable segment that holds an object's .eh_frame_hdr and .eh_frame. */
struct cfi_image {
    const uint8_t *start, *end;
    const uint8_t *eh_frame_hdr;
};

/* A frame description entry with what it needs of its common information entry. */
struct cfi_fde {
    uintptr_t low, high; /* the code it describes */
    struct cursor program;
    struct cursor common_program;
    uint64_t code_align;
    int64_t data_align;
    uint64_t return_column;
    bool signal_frame; /* the frame was interrupted: its caller's pc is exact */
};

enum cfi_how {
    CFI_SAME, /* unspecified also means this: the column is what it was */
    CFI_UNDEFINED,
    CFI_AT_OFFSET,     /* saved at CFA + value */
    CFI_OFFSET,        /* CFA + value itself */
    CFI_REGISTER,      /* in column `value` */
    CFI_AT_EXPRESSION, /* saved at the address that the expression at `value` yields */
    CFI_EXPRESSION,    /* the expression itself */
};

/* The rules in force at one pc. Expressions are addresses of their block, size first. */
struct cfi_rules {
    uint8_t cfa_how; /* CFI_OFFSET or CFI_EXPRESSION */
    uint8_t how[ARCH_COLUMNS];
    uint32_t cfa_column;
    int64_t cfa_value;
    int64_t value[ARCH_COLUMNS];
};

enum cfi_step {
    CFI_STEP_CALLER,    /* the registers are the caller's now */
    CFI_STEP_OUTERMOST, /* there is no caller */
    CFI_STEP_UNKNOWN,   /* a register that is needed is not known */
    CFI_STEP_FAILED,
};

/* The entry that describes `pc`. False: there is none, or the tables make no sense. */
bool cfi_find(const struct cfi_image *image, uintptr_t pc, struct cfi_fde *ret);

/* The rules in force at `pc`, which lies in the entry. */
bool cfi_rules_at(const struct cfi_fde *fde, uintptr_t pc, struct cfi_rules *ret);

/* Turn a frame's registers into its caller's. On other results than CFI_STEP_CALLER they are
 * unchanged. */
enum cfi_step cfi_step(const struct cfi_fde *fde, const struct cfi_rules *rules,
                       const uint8_t *image_end, struct stack_view *view,
                       struct registers *registers);

#endif
