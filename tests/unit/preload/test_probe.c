/* SPDX-License-Identifier: MIT */
/* What a probe says of calls that do a known thing. The machine may take the processor away from
 * any of them, so each is made until it is what it should be: most are at once. */
#include "unit.h"

#include "process.h"

#include <backend/backend.h>
#include <boot/arena.h>
#include <probe/probe.h>
#include <recording/recording.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <time.h>

enum { TRIES = 1000 };

/* The backend: does what the test at hand wants. */
static void (*work)(void);

static void *work_for_malloc(size_t size)
{
    work();
    return &work;
}

struct backend backend = {.malloc = work_for_malloc};
char arena_memory[ARENA_SIZE];

void call_forward(struct call *call)
{
    work();
    call->result = &work;
}

/* A malloc goes to the backend at once, a memalign by call_forward(). */
static struct probe_mark mark;

static struct probe probe_work(void (*what)(void))
{
    static enum call_function function = CALL_malloc;
    struct call call = {function, MALLOCTAP_OP_MALLOC, .size = 1};
    struct probe probe;
    work = what;
    probe_call(&call, &mark, &probe);
    CHECK(call.result == &work);
    function = function == CALL_malloc ? CALL_memalign : CALL_malloc;
    return probe;
}

static struct probe probe_until(uint32_t kind, void (*what)(void))
{
    struct probe probe;
    int tries = 0;
    do
        probe = probe_work(what);
    while (probe.kind != kind && ++tries < TRIES);
    CHECK(probe.kind == kind);
    return probe;
}

static void begin(bool may_ask_kernel)
{
    recording_open(false, false, "");
    probe_init(may_ask_kernel);
}

/* ---- kinds of work --------------------------------------------------------------------------- */

static void do_nothing(void)
{
}

static const struct timespec nap = {0, 2000000};

static void sleep_a_while(void)
{
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

static void sleep_twice(void)
{
    sleep_a_while();
    sleep_a_while();
}

static void touch_new_pages(void)
{
    const size_t size = 64 * 4096;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    munmap(memory, size);
}

static long preemptions(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_nivcsw;
}

static void work_until_preempted(void)
{
    long before = preemptions();
    while (preemptions() == before)
        ;
}

static void work_a_while(void)
{
    for (uint64_t end = recording_now_ns() + 20000; recording_now_ns() < end;)
        ;
}

static void fail_with_an_error(void)
{
    errno = EDOM;
}

static void fork_and_return_in_both(void)
{
    int status;
    pid_t child = fork();
    if (child != 0)
        CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void fast_body(void)
{
    begin(true);
    struct probe probe = probe_until(MALLOCTAP_PROBE_FAST, do_nothing);
    CHECK(probe.wait_ns == 0);
    CHECK(recording_header()->probe_cost_ns > 0);
}

static void blocked_body(void)
{
    begin(true);
    struct probe probe = probe_until(MALLOCTAP_PROBE_BLOCKED, sleep_a_while);
    CHECK(probe.time_ns + recording_header()->probe_cost_ns >= (uint64_t)nap.tv_nsec);
    CHECK(probe.wait_ns == probe.time_ns);
}

static void faulting_body(void)
{
    begin(true);
    CHECK(probe_until(MALLOCTAP_PROBE_FAULTING, touch_new_pages).wait_ns == 0);
}

static bool stop;

static void *take_the_processor(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        ;
    return unused;
}

static void preempted_body(void)
{
    pthread_t other;
    cpu_set_t here;
    begin(true);
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    CHECK(sched_setaffinity(0, sizeof here, &here) == 0);
    CHECK(pthread_create(&other, NULL, take_the_processor, NULL) == 0);
    CHECK(probe_until(MALLOCTAP_PROBE_PREEMPTED, work_until_preempted).wait_ns == 0);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
}

static void unclassed_body(void)
{
    begin(false);
    struct probe probe = probe_work(sleep_a_while);
    CHECK(probe.kind == MALLOCTAP_PROBE_UNCLASSED && probe.wait_ns == 0);
    CHECK(probe.time_ns + recording_header()->probe_cost_ns >= (uint64_t)nap.tv_nsec);
    CHECK(probe.peak_rss_kib == 0);
}

static void unprobed_body(void)
{
    recording_open(false, false, "");
    struct probe probe = probe_work(do_nothing);
    CHECK(probe.kind == MALLOCTAP_PROBE_NONE && probe.time_ns == 0);
}

static void errno_body(void)
{
    begin(true);
    errno = ERANGE;
    probe_work(do_nothing);
    CHECK(errno == ERANGE);
    probe_work(fail_with_an_error);
    CHECK(errno == EDOM);
}

static void fork_body(void)
{
    pid_t self = getpid();
    begin(true);
    struct probe probe = probe_work(fork_and_return_in_both);
    CHECK(probe.kind > MALLOCTAP_PROBE_NONE && probe.kind < MALLOCTAP_PROBES);
    if (getpid() != self)
        _exit(0);
}

/* More than the process had before it began to probe is its own; what it had may be its parent's
 * from before exec. */
static void peak_body(void)
{
    begin(true);
    CHECK(probe_work(do_nothing).peak_rss_kib == 0);
    const size_t size = 64 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    memset(memory, 1, size);
    CHECK(probe_work(do_nothing).peak_rss_kib >= size / 1024);
}

/* Marked, with something in between; again, until the mark is of a moment ago or of longer, as the
 * pace that is stated (0: all the time) says. */
static uint32_t kind_marked(void (*between)(void), void (*what)(void), uint64_t lead_ns)
{
    probe_mark(&mark, lead_ns);
    between();
    uint32_t kind = probe_work(what).kind;
    mark.at_ns = 0;
    return kind;
}

static bool some_marked(uint32_t kind, void (*between)(void), void (*what)(void), uint64_t lead_ns)
{
    for (int tries = 0; tries < TRIES; tries++)
        if (kind_marked(between, what, lead_ns) == kind)
            return true;
    return false;
}

static const uint64_t often = 100, seldom = 1000000;

/* What came between the mark and the call is not the call's. */
static void marked_body(void)
{
    begin(true);
    CHECK(some_marked(MALLOCTAP_PROBE_FAST, do_nothing, do_nothing, often));
    CHECK(some_marked(MALLOCTAP_PROBE_BLOCKED, do_nothing, sleep_a_while, often));
    CHECK(some_marked(MALLOCTAP_PROBE_FAULTING, do_nothing, touch_new_pages, often));
    CHECK(some_marked(MALLOCTAP_PROBE_BLOCKED, sleep_a_while, sleep_a_while, often));
    CHECK(some_marked(MALLOCTAP_PROBE_FAST, sleep_a_while, work_a_while, often));
    CHECK(__rseq_size == 0 || some_marked(MALLOCTAP_PROBE_FAST, sleep_twice, work_a_while, often));
    for (int i = 0; i < 20; i++)
        CHECK(kind_marked(sleep_a_while, do_nothing, often) != MALLOCTAP_PROBE_BLOCKED);
}

/* At a slow pace the kernel is asked once more, and what came between is left out. */
static void slow_pace_body(void)
{
    begin(true);
    CHECK(some_marked(MALLOCTAP_PROBE_FAST, sleep_a_while, do_nothing, seldom));
    CHECK(some_marked(MALLOCTAP_PROBE_BLOCKED, sleep_a_while, sleep_a_while, seldom));
    CHECK(some_marked(MALLOCTAP_PROBE_FAULTING, sleep_a_while, touch_new_pages, seldom));
}

/* ---- watched --------------------------------------------------------------------------------- */

static enum probe_watched watch_work(void (*what)(void), bool wanted, struct probe *ret)
{
    struct call call = {CALL_malloc, MALLOCTAP_OP_MALLOC, .size = 1};
    work = what;
    enum probe_watched watched = probe_watched(&call, &mark, wanted, ret);
    CHECK(call.result == &work);
    return watched;
}

static bool some_watched(enum probe_watched how, uint32_t kind, void (*between)(void),
                         void (*what)(void))
{
    for (int tries = 0; tries < TRIES; tries++) {
        struct probe probe;
        between();
        if (watch_work(what, true, &probe) == how && probe.kind == kind)
            return probe.watched && probe.certain == (how == PROBE_MOVED);
    }
    return false;
}

static void disturb(int signal)
{
    (void)signal;
}

static void raise_a_signal(void)
{
    kill(getpid(), SIGUSR1);
}

static void work_after_a_signal(void)
{
    raise_a_signal();
    work_a_while();
}

static void watched_body(void)
{
    struct probe probe;
    begin(true);
    if (!probe_watch(&mark))
        return;
    signal(SIGUSR1, disturb);
    CHECK(some_watched(PROBE_UNMOVED, MALLOCTAP_PROBE_FAST, do_nothing, do_nothing));
    CHECK(some_watched(PROBE_MOVED, MALLOCTAP_PROBE_BLOCKED, do_nothing, sleep_a_while));
    CHECK(some_watched(PROBE_UNMOVED, MALLOCTAP_PROBE_FAST, sleep_a_while, do_nothing));
    CHECK(some_watched(PROBE_MOVED, MALLOCTAP_PROBE_BLOCKED, sleep_twice, sleep_a_while));
    CHECK(some_watched(PROBE_ALARMED, MALLOCTAP_PROBE_FAST, sleep_a_while, raise_a_signal));
    int alarms = 0;
    for (int i = 0; i < 100; i++) {
        CHECK(watch_work(sleep_a_while, false, &probe) == PROBE_MOVED && probe.certain &&
              probe.wait_ns + recording_header()->probe_cost_ns >= (uint64_t)nap.tv_nsec);
        /* What one call did is not the next one's either. */
        alarms += watch_work(work_after_a_signal, false, &probe) == PROBE_ALARMED;
    }
    CHECK(alarms > 50);
}

#define PROBE_TESTS(X)                                                                             \
    X(a_call_that_just_works_is_fast, fast_body)                                                   \
    X(a_call_that_sleeps_is_blocked_and_waits, blocked_body)                                       \
    X(a_call_that_gets_pages_is_faulting, faulting_body)                                           \
    X(a_call_that_loses_the_processor_is_preempted, preempted_body)                                \
    X(what_came_after_the_mark_is_not_the_calls, marked_body)                                      \
    X(at_a_slow_pace_the_kernel_is_asked_again, slow_pace_body)                                    \
    X(what_is_watched_is_known_for_sure, watched_body)                                             \
    X(where_the_kernel_may_not_be_asked_calls_are_timed_only, unclassed_body)                      \
    X(before_the_start_nothing_is_probed, unprobed_body)                                           \
    X(errno_is_the_calls_own, errno_body)                                                          \
    X(a_fork_during_the_call_is_survived, fork_body)                                               \
    X(peak_memory_is_the_programs_own, peak_body)

#define X(name, body)                                                                              \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        in_child(body);                                                                            \
    }
PROBE_TESTS(X)
#undef X

int main(void)
{
    const struct CMUnitTest tests[] = {
#define X(name, body) cmocka_unit_test(name),
        PROBE_TESTS(X)
#undef X
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
