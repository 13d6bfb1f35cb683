/* SPDX-License-Identifier: MIT */
/*
 * probe.h - what a call cost, and what kept it: its own work, the kernel, a lock, the scheduler.
 *
 * The clock is read right before and right after the call, and the kernel asked, outside of that,
 * what it counted for this thread: switches it wanted and switches it did not, and page faults.
 * That needs no privilege. docs/PROBES.md says what the classes mean and how far to trust them.
 */
#ifndef PRELOAD_PROBE_H
#define PRELOAD_PROBE_H

#include <backend/call.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct probe {
    uint32_t kind; /* enum malloctap_probe */
    uint32_t peak_rss_kib;
    uint64_t time_ns;
    uint64_t wait_ns;
};

/* A probe under way, on its thread's stack. */
struct probe_start {
    struct rusage before;
    uint64_t ticks;
    bool asked; /* `before` is known */
};

/* Find out what a probe itself takes; until then calls are not probed. `may_ask_kernel`: whether
 * the program has surely not forbidden it; if it may have, calls are timed but not classed. With a
 * clock too coarse to time a call none is probed. */
void probe_init(bool may_ask_kernel);

/* Around a call; errno is left alone. */
void probe_begin(struct probe_start *ret);
void probe_end(const struct probe_start *start, struct probe *ret);

/* Hand the call to the backend like call_forward(), errno included, and say what it cost. */
void probe_call(struct call *call, struct probe *ret);

#endif
