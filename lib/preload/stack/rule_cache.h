/* SPDX-License-Identifier: MIT */
/*
 * rule_cache.h - unwind rules by place in the code, so that a frame met before costs a few loads.
 *
 * Nearly every frame needs only a short rule: where the CFA is, counted from the stack or frame
 * pointer, and where the return address and the frame pointer were saved. A program has few
 * different ones. They are kept once each in a set of 64-bit words; the cache proper maps a place
 * to an index in the set.
 *
 * Lock-free, and nothing to tear: a cache entry is one word that holds the whole key, and a rule,
 * once in the set, never changes.
 */
#ifndef PRELOAD_STACK_RULE_CACHE_H
#define PRELOAD_STACK_RULE_CACHE_H

#include "rule.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A place in the code, unique for as long as the recording: a depot frame (module and offset). */
typedef uint64_t rule_key;

/* False: not there. */
bool rule_cache_find(_Atomic(void *) *cache, rule_key key, struct rule *ret);

/* May silently keep nothing. */
void rule_cache_add(_Atomic(void *) *cache, rule_key key, struct rule rule);

#endif
