/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <backend/backend.h>
#include <boot/arena.h>
#include <recording/recording.h>

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Enough that the mean of a batch is good to a nanosecond where the clock steps by ten, and batches
 * enough that one is not interrupted. */
#define BATCHES 8
#define BATCH 32

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

/* Two readings of the clock with nothing in between, on average; the least of several such means:
 * interrupts only ever add. */
static uint64_t clock_cost(void)
{
    uint64_t least = UINT64_MAX;
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t sum = 0;
        for (int i = 0; i < BATCH; i++) {
            uint64_t start = recording_ticks();
            sum += recording_ticks() - start;
        }
        least = sum < least ? sum : least;
    }
    return (least + BATCH / 2) / BATCH;
}

void probe_init(bool may_ask_kernel)
{
    struct rusage usage;
    probing.cost_ns = clock_cost();
    /* The kernel's peak is that of the program before exec, while that was larger. */
    probing.inherited_rss_kib = ask_kernel(&usage) ? (uint64_t)usage.ru_maxrss : UINT64_MAX;
    probing.may_ask_kernel = may_ask_kernel;
    probing.started = recording_clock_is_fine();
}

/* In a child that a signal handler forked during the call, counts begin anew and may be lower. */
static enum malloctap_probe classify(const struct rusage *before, const struct rusage *after)
{
    if (after->ru_nvcsw > before->ru_nvcsw)
        return MALLOCTAP_PROBE_BLOCKED;
    if (after->ru_nivcsw > before->ru_nivcsw)
        return MALLOCTAP_PROBE_PREEMPTED;
    if (after->ru_minflt > before->ru_minflt || after->ru_majflt > before->ru_majflt)
        return MALLOCTAP_PROBE_FAULTING;
    return MALLOCTAP_PROBE_FAST;
}

void probe_begin(struct probe_start *ret)
{
    int error = errno;
    ret->asked = probing.started && probing.may_ask_kernel && ask_kernel(&ret->before);
    errno = error;
    /* A sample comes so rarely that the clock's own code is in no cache: read it once for that. */
    recording_ticks();
    ret->ticks = recording_ticks();
}

static void conclude(const struct probe_start *start, uint64_t end, struct probe *ret)
{
    uint64_t time = end - start->ticks;
    *ret = (struct probe){.kind = MALLOCTAP_PROBE_NONE};
    if (!probing.started)
        return;
    struct rusage after;
    int error = errno;
    bool asked = start->asked && ask_kernel(&after);
    errno = error;

    /* A fork child has a header of its own. */
    recording_header()->probe_cost_ns = probing.cost_ns;
    ret->time_ns = time > probing.cost_ns ? time - probing.cost_ns : 0;
    ret->kind = asked ? classify(&start->before, &after) : MALLOCTAP_PROBE_UNCLASSED;
    if (ret->kind == MALLOCTAP_PROBE_BLOCKED)
        ret->wait_ns = ret->time_ns;
    if (asked && (uint64_t)after.ru_maxrss > probing.inherited_rss_kib)
        ret->peak_rss_kib = (uint32_t)after.ru_maxrss;
}

void probe_end(const struct probe_start *start, struct probe *ret)
{
    conclude(start, recording_ticks(), ret);
}

/* What is called nearly always has nothing between the readings but itself: the code on the way
 * there, cold as well, would take longer than the call. */
void probe_call(struct call *call, struct probe *ret)
{
    struct probe_start start;
    uint64_t end;
    void *(*const obtain)(size_t) = backend.malloc;
    void (*const give_back)(void *) = backend.free;
    probe_begin(&start);
    if (call->function == CALL_malloc) {
        start.ticks = recording_ticks();
        call->result = obtain(call->size);
        end = recording_ticks();
    } else if (call->function == CALL_free && !arena_owns(call->block)) {
        start.ticks = recording_ticks();
        give_back(call->block);
        end = recording_ticks();
    } else {
        call_forward(call);
        end = recording_ticks();
    }
    conclude(&start, end, ret);
}
