/* SPDX-License-Identifier: MIT */
/*
 * size_class.h - the size class of recording.h, the bit width of a size, in a few cycles.
 *
 * Processors since 2013 count leading zeros in one step (lzcnt), where bsr takes several. Older
 * ones read the same bytes as bsr, which counts from the other end; which of the two this one did
 * is found once.
 */
#ifndef PRELOAD_SIZE_CLASS_H
#define PRELOAD_SIZE_CLASS_H

#include <compiler.h>

#include <stddef.h>

#ifdef __x86_64__
/* 63 where the instruction is lzcnt, else 0. */
extern size_t size_class_flip HIDDEN;

static always_inline size_t size_class_scan(size_t number)
{
    size_t found;
    __asm__("rep bsrq %1, %0" : "=r"(found) : "r"(number) : "cc");
    return found;
}
#endif

/* To be called before the first call is counted. */
void size_class_prepare(void);

/* For sizes below 2^63. Of larger ones, which no allocator has, it makes something that
 * count_failure() mends. */
static always_inline size_t size_class(size_t size)
{
#ifdef __x86_64__
    return size_class_scan(2 * size + 1) ^ size_class_flip;
#else
    return 63 ^ (size_t)__builtin_clzll(2 * size + 1);
#endif
}

#endif
