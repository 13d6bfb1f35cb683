/* SPDX-License-Identifier: MIT */
/*
 * budget.h - how often a thread is sampled at the default rate, so that samples take a small share
 * of its processor time: a thread that calls rarely, or waits in the allocator, can afford more.
 *
 * The mean distance to the next sample is chosen from what is past alone. The probability with
 * which a call is drawn is then known when it is made, and the estimates stay unbiased.
 */
#ifndef PRELOAD_BUDGET_H
#define PRELOAD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* Draws from one look at the clock to the next; the first comes after one. */
#define BUDGET_DRAWS 8u

struct budget {
    uint64_t mean;     /* of the units between samples */
    uint64_t apart_ns; /* processor time there should be between samples */
    uint64_t cpu_ns;   /* of the thread at the last look */
    uint64_t units;    /* drawn since then */
    uint32_t draws;
    uint64_t took_ns, took_units; /* between the last two looks, at first since the thread began */
};

/* The next mean, when the last distances, of so many units together, have taken so much time; from
 * `least` to `most`. */
uint64_t budget_next(const struct budget *budget, uint64_t time_ns, uint64_t least, uint64_t most);

/* A new thread's: its first sample comes soon, to find out where it stands. */
struct budget budget_begin(uint64_t apart_ns, uint64_t least, uint64_t most);

/* Before a draw: a distance of so many units is behind; look at the clock if it is time to. Returns
 * the processor time since the look before, or 0. */
uint64_t budget_look(struct budget *budget, uint64_t units, uint64_t least, uint64_t most);

/* Without it the budget stays at the most: for a program that may forbid itself to ask the kernel.
 */
void budget_init(bool may_ask_kernel);

#endif
