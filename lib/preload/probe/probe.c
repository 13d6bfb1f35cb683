/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include "switches.h"

#include <backend/backend.h>
#include <boot/arena.h>
#include <recording/recording.h>

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Enough that the mean of a batch is good to a nanosecond where the clock steps by ten, and batches
 * enough that one is not interrupted. */
#define BATCHES 8
#define BATCH 32

/* Between marks and probes a thread that calls the allocator all the time takes less; one that was
 * away from its processor takes more, and cannot have been for less than this. */
#define LEAD_MOST_NS 8000u
#define SWITCH_LEAST_NS 1500u

/* What the kernel takes at least to give a page. */
#define FAULT_LEAST_NS 200u

/* Of this process and all it will fork. */
static struct {
    bool started;
    bool may_ask_kernel;
    uint64_t cost_ns;
    uint64_t inherited_rss_kib;
} probing;

static bool ask_kernel(struct rusage *ret)
{
    return syscall(SYS_getrusage, RUSAGE_THREAD, ret) == 0;
}

/* All but the moment. */
static void count(const struct rusage *usage, struct probe_mark *ret)
{
    bool own_peak = (uint64_t)usage->ru_maxrss > probing.inherited_rss_kib;
    ret->peak_rss_kib = own_peak ? (uint32_t)usage->ru_maxrss : 0;
    ret->sleeps = (uint64_t)usage->ru_nvcsw;
    ret->preemptions = (uint64_t)usage->ru_nivcsw;
    ret->faults = (uint64_t)usage->ru_minflt + (uint64_t)usage->ru_majflt;
}

/* Two readings of the clock with nothing in between, on average; the least of several such means:
 * interrupts only ever add. */
static uint64_t clock_cost(void)
{
    uint64_t least = UINT64_MAX;
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t sum = 0;
        for (int i = 0; i < BATCH; i++) {
            uint64_t start = recording_now_ns();
            sum += recording_now_ns() - start;
        }
        least = sum < least ? sum : least;
    }
    return (least + BATCH / 2) / BATCH;
}

void probe_init(bool may_ask_kernel)
{
    struct rusage usage;
    switches_init();
    probing.cost_ns = clock_cost();
    /* The kernel's peak is that of the program before exec, while that was larger. */
    probing.inherited_rss_kib = ask_kernel(&usage) ? (uint64_t)usage.ru_maxrss : UINT64_MAX;
    probing.may_ask_kernel = may_ask_kernel;
    probing.started = recording_clock_is_fine();
}

bool probe_asks(void)
{
    return probing.started && probing.may_ask_kernel;
}

static uint64_t since(uint64_t before, uint64_t after)
{
    /* In a child that a signal handler forked during the call, counts begin anew. */
    return after > before ? after - before : 0;
}

/* Of the switches since a mark, one was before the call if the thread was away by then. */
static enum malloctap_probe classify(const struct probe_start *start,
                                     const struct probe_mark *after, uint64_t time, bool stayed)
{
    uint64_t sleeps = since(start->before.sleeps, after->sleeps);
    uint64_t preemptions = since(start->before.preemptions, after->preemptions);
    bool may_have_switched = !stayed && (!start->marked || time >= SWITCH_LEAST_NS);
    bool may_have_faulted = !start->marked || time >= FAULT_LEAST_NS;
    if (may_have_switched && sleeps + preemptions > start->interrupted)
        return sleeps > 0 ? MALLOCTAP_PROBE_BLOCKED : MALLOCTAP_PROBE_PREEMPTED;
    if (may_have_faulted && after->faults > start->before.faults)
        return MALLOCTAP_PROBE_FAULTING;
    return MALLOCTAP_PROBE_FAST;
}

static bool ask_counts(struct probe_mark *ret)
{
    struct rusage usage;
    int error = errno;
    bool asked = ask_kernel(&usage);
    errno = error;
    if (asked)
        count(&usage, ret);
    return asked;
}

static bool ask_before(struct probe_mark *ret)
{
    return probe_asks() && ask_counts(ret);
}

void probe_mark(struct probe_mark *ret, uint64_t lead_ns)
{
    ret->lead_ns = lead_ns;
    ret->at_ns = ask_before(ret) ? recording_now_ns() : 0;
}

void probe_begin(struct probe_start *ret)
{
    ret->marked = ret->interrupted = false;
    ret->asked = ask_before(&ret->before);
    /* A sample comes so rarely that the clock's own code is in no cache: read it once for that. */
    recording_now_ns();
    switches_watch();
    ret->before.at_ns = recording_now_ns();
}

/* Where calls are rare enough, the kernel is asked right before. */
static void begin_marked(const struct probe_mark *mark, struct probe_start *ret)
{
    if (mark->at_ns == 0 || mark->lead_ns > LEAD_MOST_NS) {
        probe_begin(ret);
        return;
    }
    *ret = (struct probe_start){.before = *mark, .asked = true, .marked = true};
    ret->interrupted = recording_now_ns() - mark->at_ns > LEAD_MOST_NS;
    switches_watch();
}

/* `stayed`: the thread surely kept its processor. In such a call that took less than a page fault
 * the kernel had no part, and need not be asked again. */
static void conclude(const struct probe_start *start, uint64_t end, bool stayed, struct probe *ret)
{
    uint64_t time = end - start->before.at_ns;
    *ret = (struct probe){.kind = MALLOCTAP_PROBE_NONE, .began_ns = start->before.at_ns};
    if (!probing.started)
        return;
    /* A fork child has a header of its own. */
    recording_header()->probe_cost_ns = probing.cost_ns;
    ret->time_ns = time > probing.cost_ns ? time - probing.cost_ns : 0;
    ret->kind = MALLOCTAP_PROBE_UNCLASSED;
    struct probe_mark after = start->before;
    bool alone = stayed && ret->time_ns < FAULT_LEAST_NS;
    if (!start->asked || (!alone && !ask_counts(&after)))
        return;
    ret->kind = alone ? MALLOCTAP_PROBE_FAST : classify(start, &after, ret->time_ns, stayed);
    if (ret->kind == MALLOCTAP_PROBE_BLOCKED)
        ret->wait_ns = ret->time_ns;
    ret->peak_rss_kib = after.peak_rss_kib;
}

void probe_end(const struct probe_start *start, struct probe *ret)
{
    uint64_t end = recording_now_ns();
    conclude(start, end, switches_ruled_out(), ret);
}

/* Times one call. Nothing stands between the readings but that: the code on the way there is as
 * cold as all code of samples, and would take longer than the call. */
#define TIMED(forward)                                                                             \
    do {                                                                                           \
        start->before.at_ns = recording_now_ns();                                                  \
        forward;                                                                                   \
        return recording_now_ns();                                                                 \
    } while (0)

/* call_forward(), timed; returns when it was over. */
static uint64_t forward_timed(struct call *call, struct probe_start *start)
{
    const bool from_arena = arena_owns(call->block);
    if (call->function == CALL_malloc)
        TIMED(call->result = backend.malloc(call->size));
    if (call->function == CALL_free && !from_arena)
        TIMED(backend.free(call->block));
    if (call->function == CALL_calloc)
        TIMED(call->result = backend.calloc(call->count, call->unit));
    if (call->function == CALL_realloc && !from_arena)
        TIMED(call->result = backend.realloc(call->block, call->size));
    if (call->function == CALL_aligned_alloc)
        TIMED(call->result = backend.aligned_alloc(call->alignment, call->size));
    if (call->function == CALL_posix_memalign)
        TIMED(call->status = backend.posix_memalign(&call->result, call->alignment, call->size));
    TIMED(call_forward(call));
}

void probe_call(struct call *call, const struct probe_mark *mark, struct probe *ret)
{
    struct probe_start start;
    begin_marked(mark, &start);
    uint64_t end = forward_timed(call, &start);
    conclude(&start, end, switches_ruled_out(), ret);
}

/* The watch first: what comes between the two is then noticed rather than missed. */
bool probe_watch(struct probe_mark *known)
{
    return switches_watch() && ask_before(known);
}

enum probe_watched probe_watched(struct call *call, struct probe_mark *known, bool wanted,
                                 struct probe *ret)
{
    /* What the thread did between its calls is not theirs. */
    struct probe_start start = {.marked = true};
    start.asked = switches_ruled_out() || ask_counts(known);
    start.before = *known;
    switches_watch();
    start.before.at_ns = recording_now_ns();
    call_forward(call);
    bool stayed = switches_ruled_out();
    if (wanted || !stayed)
        conclude(&start, recording_now_ns(), stayed, ret);
    switches_watch();
    ret->watched = true;
    if (stayed)
        return PROBE_UNMOVED;
    ask_counts(known);
    ret->certain = ret->kind == MALLOCTAP_PROBE_BLOCKED || ret->kind == MALLOCTAP_PROBE_PREEMPTED;
    return ret->certain ? PROBE_MOVED : PROBE_ALARMED;
}
