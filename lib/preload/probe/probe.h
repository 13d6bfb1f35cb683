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

struct probe {
    uint32_t kind; /* enum malloctap_probe */
    uint32_t peak_rss_kib;
    uint64_t began_ns;
    uint64_t time_ns;
    uint64_t wait_ns;
    bool watched; /* by probe_watched() */
    bool certain; /* the call would be recorded whatever was drawn */
};

/* What the kernel had counted for a thread at some moment. */
struct probe_mark {
    uint64_t at_ns;   /* 0: none */
    uint64_t lead_ns; /* how long the thread takes from there to the probe, at its usual pace */
    uint64_t sleeps, preemptions, faults;
    uint32_t peak_rss_kib; /* of the process, if it is its own; else 0 */
};

/* A probe under way, on its thread's stack. */
struct probe_start {
    struct probe_mark before; /* its moment: right before the call */
    bool asked;               /* the rest is known */
    bool marked;              /* of some calls ago: faults may be those of other code */
    bool interrupted;         /* and the thread was away since */
};

/* Find out what a probe itself takes; until then calls are not probed. `may_ask_kernel`: whether
 * the program has surely not forbidden it; if it may have, calls are timed but not classed. With a
 * clock too coarse to time a call none is probed. */
void probe_init(bool may_ask_kernel);

/* Around a call; errno is left alone. */
void probe_begin(struct probe_start *ret);
void probe_end(const struct probe_start *start, struct probe *ret);

/* Whether probes may ask the kernel. */
bool probe_asks(void);

/*
 * To be called some calls before the one that is to be probed. Asking the kernel right before that
 * would delay it, and where threads take a lock in turns, another has it then: the call would wait
 * because it was probed.
 */
void probe_mark(struct probe_mark *ret, uint64_t lead_ns);

/*
 * Watching: of every call of a thread it is found whether the thread lost its processor in it, for
 * one reading of the clock. `known` is what the kernel had counted lately; it is asked again only
 * after such a loss, be it in a call or between them. To be begun by probe_watch(); false: that
 * cannot be done here.
 */
bool probe_watch(struct probe_mark *known);

enum probe_watched {
    PROBE_UNMOVED, /* the thread kept its processor; *ret is filled in if that was `wanted` */
    PROBE_ALARMED, /* a signal came, or code that uses the means of the watch; likewise */
    PROBE_MOVED,   /* it lost its processor, as *ret tells */
};

/* probe_call() for a thread that is watched. */
enum probe_watched probe_watched(struct call *call, struct probe_mark *known, bool wanted,
                                 struct probe *ret);

/* Hand the call to the backend like call_forward(), errno included, and say what it cost. `mark` is
 * used where there is one, and the pace is such that asking the kernel would be a delay. */
void probe_call(struct call *call, const struct probe_mark *mark, struct probe *ret);

#endif
