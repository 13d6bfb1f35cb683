/* SPDX-License-Identifier: MIT */
/* rule.h - what leads from a frame to its caller: short where that is enough. */
#ifndef PRELOAD_STACK_RULE_H
#define PRELOAD_STACK_RULE_H

#include "cfi.h"
#include "compiler.h"
#include "modules.h"

enum rule_kind {
    RULE_NONE,          /* not a rule */
    RULE_CFA_FROM_SP,   /* CFA = sp + cfa */
    RULE_CFA_FROM_FP,   /* CFA = fp + cfa */
    RULE_CFA_AT_FP,     /* CFA = word at fp + cfa: a frame that realigned its stack */
    RULE_OUTERMOST,     /* no caller */
    RULE_COMPLEX,       /* run the tables */
    RULE_NOT_DESCRIBED, /* the tables do not know this code */
    RULE_NOT_CODE,      /* data: what led here is no return address */
};

enum rule_fp {
    RULE_FP_SAME,
    RULE_FP_FROM_CFA, /* saved at CFA + fp */
    RULE_FP_FROM_FP,  /* saved at the frame's own fp + fp */
    RULE_FP_LOST,
};

/* Offsets are in words of 8 bytes. */
struct rule {
    uint8_t kind;
    uint8_t fp_how;
    int16_t cfa;
    int16_t fp;
    int16_t ra; /* return address saved at CFA + ra */
};

/* A rule as one word, for tables. Not by memcpy(): this way compilers keep it in registers. */
static always_inline uint64_t rule_pack(struct rule rule)
{
    return rule.kind | (uint64_t)rule.fp_how << 8 | (uint64_t)(uint16_t)rule.cfa << 16 |
           (uint64_t)(uint16_t)rule.fp << 32 | (uint64_t)(uint16_t)rule.ra << 48;
}

static always_inline struct rule rule_unpack(uint64_t word)
{
    return (struct rule){
        .kind = (uint8_t)word,
        .fp_how = (uint8_t)(word >> 8),
        .cfa = (int16_t)(word >> 16),
        .fp = (int16_t)(word >> 32),
        .ra = (int16_t)(word >> 48),
    };
}

/* The long form: what the tables say. */
struct rule_source {
    struct cfi_image image;
    struct cfi_fde fde;
    struct cfi_rules rules;
};

/* Read the tables for a place in a module. False: they do not describe it. */
bool rule_read_tables(const struct module *module, uintptr_t pc, struct rule_source *ret);

/* The short rule for a place, from the tables. */
struct rule rule_learn(const struct module *module, uintptr_t pc);

#endif
