/* SPDX-License-Identifier: MIT */
/*
 * exponential.h - the random distance to the next sample, and what a sample stands for.
 *
 * Distances are exponential with mean M, so they have no memory: a call of cost c, wherever it
 * falls, is sampled with probability p = 1 - exp(-c / M), independently of all others.
 * docs/SAMPLING.md has the mathematics. No libm: the preload object links nothing but libc.
 */
#ifndef PRELOAD_EXPONENTIAL_H
#define PRELOAD_EXPONENTIAL_H

#include <stdint.h>

/* A draw, at least 1. `state` is the caller's generator; any value but 0 will do to begin with. */
uint64_t exponential_draw(uint64_t *state, uint64_t mean);

/* 1 / p for a call of this cost, cost > 0; 1 where the mean is 0. */
double exponential_weight(uint64_t cost, uint64_t mean);

/* Natural logarithm, x > 0, relative error below 1e-12; exposed for its test. */
double exponential_log(double x);

#endif
