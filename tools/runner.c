/* SPDX-License-Identifier: MIT */
#include "runner.h"

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * RUNNING ──ready, signal to us──► STOPPING ──grace, signal to us──► KILLED ──► the program ended
 *    └─────────── timeout ───────────────────────────────────────────►┘
 */
enum phase { RUNNING, STOPPING, KILLED };

struct run {
    const struct runner_plan *plan;
    struct runner_result *result;
    struct ready_watch watch;
    int signals;   /* signalfd: SIGCHLD and those that ask us to stop */
    int from;      /* the program's output, to be looked at; -1: goes to `to` by itself */
    int to;        /* file that it goes to */
    pid_t program; /* leader of its process group, not reaped before the group is ended */
    enum phase phase;
    uint64_t start_ns;
    uint64_t deadline_ns; /* end of the phase; 0: none */
    uint64_t look_ns;     /* when to look at a port next; 0: never */
    bool detached;        /* the program is gone, and a daemon that it started goes on */
    bool ended;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The first reason counts; the rest follow from it. */
__attribute__((format(printf, 2, 3))) static void fail(struct run *run, const char *format, ...)
{
    if (*run->result->failure)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->result->failure, sizeof run->result->failure, format, arguments);
    va_end(arguments);
}

/* ---- children ------------------------------------------------------------------------------- */

/* By now also those whose parents are gone. NULL: it cannot be known. */
static FILE *children_open(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    return fopen(path, "re");
}

static void children_signal(int signal)
{
    FILE *list = children_open();
    for (int child; list && fscanf(list, "%d", &child) == 1;)
        kill(child, signal);
    if (list)
        fclose(list);
}

/* Is there any beside the program itself? */
static bool daemons_left(const struct run *run)
{
    FILE *list = children_open();
    bool left = false;
    for (int child; list && fscanf(list, "%d", &child) == 1;)
        left |= child != run->program && waitpid(child, NULL, WNOHANG) == 0;
    if (list)
        fclose(list);
    return left;
}

/* ---- events --------------------------------------------------------------------------------- */

static void phase_enter(struct run *run, enum phase phase, uint64_t now)
{
    run->phase = phase;
    run->look_ns = 0;
    run->deadline_ns = phase == STOPPING ? now + run->plan->grace_ns : 0;
    run->ended |= run->detached; /* nobody to wait for: the rest is what is left behind */
    kill(-run->program, phase == STOPPING ? SIGTERM : SIGKILL);
}

static void on_ready(struct run *run, uint64_t now)
{
    if (run->phase != RUNNING || run->ended)
        return;
    run->result->measures.value[MEASURE_wall_ns] = (double)(now - run->start_ns);
    phase_enter(run, STOPPING, now);
}

static void on_signal(struct run *run, uint64_t now)
{
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) {
            run->result->interrupted = true;
            fail(run, "was interrupted");
            phase_enter(run, run->phase == RUNNING ? STOPPING : KILLED, now);
        }
    }
    siginfo_t state = {0};
    /* Left a zombie: while it is one, its process group's number is not given to others. */
    waitid(P_PID, (id_t)run->program, &state, WEXITED | WNOHANG | WNOWAIT);
    if (state.si_pid != run->program)
        return;
    /* A service may go into the background: its first process ends well, and a daemon goes on. */
    run->detached = run->phase == RUNNING && run->plan->ready.kind != READY_NONE &&
                    state.si_code == CLD_EXITED && state.si_status == 0 && daemons_left(run);
    run->ended = !run->detached;
    if (run->plan->ready.kind == READY_NONE)
        run->result->measures.value[MEASURE_wall_ns] = (double)(now - run->start_ns);
}

static void write_all(int to, const char *text, size_t length)
{
    while (length) {
        ssize_t written = write(to, text, length);
        if (written < 0 && errno != EINTR)
            return; /* a full disk costs the copy of the output, not the run */
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
}

static void on_output(struct run *run, uint64_t now)
{
    char text[65536];
    ssize_t got = read(run->from, text, sizeof text);
    if (got > 0) {
        write_all(run->to, text, (size_t)got);
        if (ready_in_output(&run->watch, text, (size_t)got))
            on_ready(run, now);
    } else if (got == 0 || errno != EAGAIN) {
        close(run->from);
        run->from = -1;
    }
}

static void on_deadline(struct run *run, uint64_t now)
{
    if (run->phase == RUNNING)
        fail(run, "%s within %.3g s (--timeout)",
             run->plan->ready.kind == READY_NONE ? "did not end" : "was not ready",
             (double)run->plan->timeout_ns / 1e9);
    phase_enter(run, KILLED, now);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void timeout_set(const struct run *run, uint64_t now, struct timespec *ret)
{
    uint64_t next = run->deadline_ns;
    if (run->look_ns && (!next || run->look_ns < next))
        next = run->look_ns;
    uint64_t left = !next ? UINT64_MAX : next > now ? next - now : 0;
    *ret = left == UINT64_MAX ? (struct timespec){.tv_sec = 1 << 30}
                              : (struct timespec){.tv_sec = (time_t)(left / 1000000000),
                                                  .tv_nsec = (long)(left % 1000000000)};
}

/* Sleep until something happens; handle it. */
static void step(struct run *run)
{
    struct timespec timeout;
    struct pollfd events[] = {{run->signals, POLLIN, 0},
                              {run->from, POLLIN, 0}, /* poll() passes over -1 */
                              {run->watch.inotify, POLLIN, 0}};
    timeout_set(run, clock_ns(), &timeout);
    if (ppoll(events, sizeof events / sizeof *events, &timeout, NULL) < 0)
        return;
    uint64_t now = clock_ns();
    if (events[1].revents)
        on_output(run, now);
    if (events[2].revents && ready_now(&run->watch))
        on_ready(run, now);
    if (run->look_ns && now >= run->look_ns) {
        if (ready_now(&run->watch))
            on_ready(run, now);
        else
            run->look_ns = now + ready_next_look_ns(now - run->start_ns);
    }
    if (run->deadline_ns && now >= run->deadline_ns)
        on_deadline(run, now);
    if (events[0].revents)
        on_signal(run, now);
}

/* ---- what is left behind -------------------------------------------------------------------- */

/* False: there are still children when the time is over. */
static bool children_reap(struct run *run, uint64_t time_ns)
{
    uint64_t end = clock_ns() + time_ns;
    for (;;) {
        pid_t gone;
        do
            gone = waitpid(-1, NULL, WNOHANG);
        while (gone > 0);
        if (gone < 0)
            return true;
        uint64_t now = clock_ns();
        if (now >= end)
            return false;
        struct timespec left = {.tv_sec = (time_t)((end - now) / 1000000000),
                                .tv_nsec = (long)((end - now) % 1000000000)};
        struct pollfd event = {run->signals, POLLIN, 0};
        ppoll(&event, 1, &left, NULL);
        struct signalfd_siginfo info;
        while (read(run->signals, &info, sizeof info) == sizeof info)
            run->result->interrupted |= info.ssi_signo != SIGCHLD;
    }
}

/* End the rest of the process group, and daemons that left it: they are our children now, and those
 * of whatever we end next become ours in turn. */
static void leftovers_end(struct run *run)
{
    kill(-run->program, SIGTERM);
    waitpid(run->program, NULL, 0);
    if (children_reap(run, 0))
        return;
    children_signal(SIGTERM);
    for (int i = 0; i < 100 && !children_reap(run, i ? 100000000 : run->plan->grace_ns); i++)
        children_signal(SIGKILL);
}

/* ---- one run -------------------------------------------------------------------------------- */

static void end_judge(struct run *run)
{
    siginfo_t state = {0};
    waitid(P_PID, (id_t)run->program, &state, WEXITED | WNOHANG | WNOWAIT);
    bool exited = state.si_code == CLD_EXITED;
    bool asked = run->phase == STOPPING || run->phase == KILLED;
    if (run->phase == RUNNING && run->plan->ready.kind != READY_NONE)
        fail(run, "ended before it was ready (%s %d)", exited ? "exit status" : "signal",
             state.si_status);
    else if (!exited && !(asked && (state.si_status == SIGTERM || state.si_status == SIGKILL)))
        fail(run, "was ended by signal %d (%s)", state.si_status, strsignal(state.si_status));
    else if (exited && !asked && state.si_status && !run->plan->any_exit_status)
        fail(run, "ended with exit status %d%s", state.si_status,
             run->plan->apart ? "" : " (-i: count such runs)");
}

static double timeval_ns(struct timeval time)
{
    return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

/*
 * The kernel counts as the program's what the process held that became it: a copy of this one,
 * which grew by little since; and each processor's part of such a count may lag by some 32 pages of
 * each kind. What is not clearly more than that is not the program's, and so not known.
 */
static double peak_of(const struct rusage *usage)
{
    enum { UNCERTAIN_KIB = 1024 };
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    return usage->ru_maxrss > own.ru_maxrss + UNCERTAIN_KIB ? (double)usage->ru_maxrss * 1024 : NAN;
}

/* Of all children waited for, and theirs: those of this run, as we have had no others. */
static void usage_take(struct measures *ret)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    ret->value[MEASURE_user_ns] = timeval_ns(usage.ru_utime);
    ret->value[MEASURE_system_ns] = timeval_ns(usage.ru_stime);
    ret->value[MEASURE_cpu_ns] = ret->value[MEASURE_user_ns] + ret->value[MEASURE_system_ns];
    ret->value[MEASURE_peak_rss_bytes] = peak_of(&usage);
    ret->value[MEASURE_voluntary_switches] = (double)usage.ru_nvcsw;
    ret->value[MEASURE_involuntary_switches] = (double)usage.ru_nivcsw;
    ret->value[MEASURE_minor_faults] = (double)usage.ru_minflt;
    ret->value[MEASURE_major_faults] = (double)usage.ru_majflt;
}

/* The program's output: straight to the file, unless we have to look at it. */
static int output_open(struct run *run, const char *output)
{
    int ends[2];
    run->from = -1;
    run->to = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (run->to < 0 || run->plan->ready.kind != READY_OUTPUT)
        return run->to;
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    run->from = ends[0];
    return ends[1];
}

static int program_start(struct run *run, const struct tap *tap, const char *output,
                         const struct launch_signals *signals)
{
    struct launch launch = {.path = run->plan->path,
                            .argv = run->plan->argv,
                            .tap = tap,
                            .signals = signals,
                            .own_group = true};
    launch.input = open(run->plan->input, O_RDONLY | O_CLOEXEC);
    launch.output = launch.errors = output_open(run, output);
    if (launch.input < 0)
        fail(run, "%s: cannot be read: %s", run->plan->input, strerror(errno));
    else if (launch.output < 0)
        fail(run, "%s: cannot be written: %s", output, strerror(errno));
    else if (ready_watch_init(&run->watch, &run->plan->ready))
        fail(run, "%s: cannot be watched: %s", run->plan->ready.path, strerror(errno));
    if (*run->result->failure)
        return -1;
    run->start_ns = clock_ns();
    run->program = launch_start(&launch);
    if (run->program < 0)
        fail(run, "cannot be started: %s", strerror(errno));
    if (run->from >= 0)
        close(launch.output);
    return run->program < 0 ? -1 : 0;
}

/* In a process of its own. */
static void run_once(struct run *run, const struct tap *tap, const char *output,
                     const struct launch_signals *signals, const sigset_t *stop)
{
    sigset_t set = *stop;
    sigaddset(&set, SIGCHLD);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0) {
        fail(run, "cannot be waited for: %s", strerror(errno));
        return;
    }
    if (program_start(run, tap, output, signals))
        return;
    run->result->pid = run->program;
    if (run->plan->timeout_ns)
        run->deadline_ns = run->start_ns + run->plan->timeout_ns;
    if (run->plan->ready.kind == READY_PORT)
        run->look_ns = run->start_ns + ready_next_look_ns(0);
    while (!run->ended)
        step(run);
    if (run->from >= 0)
        on_output(run, clock_ns()); /* its last words */
    end_judge(run);
    leftovers_end(run);
    usage_take(&run->result->measures);
    if (run->plan->ready.kind == READY_FILE)
        unlink(run->plan->ready.path); /* it was not there before the first run */
}

static _Noreturn void worker(const struct runner_plan *plan, const struct tap *tap,
                             const char *output, const struct launch_signals *signals,
                             const sigset_t *stop, pid_t parent, int report)
{
    struct runner_result result = {0};
    struct run run = {.plan = plan, .result = &result, .from = -1, .watch.inotify = -1};
    measures_clear(&result.measures);
    /* When our parent is gone, end the run; and do not begin when it went before we asked. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        run_once(&run, tap, output, signals, stop);
    write_all(report, (const char *)&result, sizeof result);
    _exit(0);
}

static void report_read(int report, pid_t worker_pid, struct runner_result *ret)
{
    size_t have = 0;
    while (have < sizeof *ret) {
        ssize_t got = read(report, (char *)ret + have, sizeof *ret - have);
        if (got == 0)
            break;
        if (got > 0)
            have += (size_t)got;
        else if (errno == EINTR) /* we are asked to stop; it may not be */
            kill(worker_pid, SIGTERM);
    }
    waitpid(worker_pid, NULL, 0);
    if (have == sizeof *ret)
        return;
    *ret = (struct runner_result){.interrupted = true};
    snprintf(ret->failure, sizeof ret->failure, "lost the process that looked after it");
}

void runner_run(const struct runner_plan *plan, const struct tap *tap, const char *output,
                struct runner_result *ret)
{
    int report[2];
    sigset_t stop;
    struct launch_signals before;
    *ret = (struct runner_result){0};
    measures_clear(&ret->measures);
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGQUIT);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGHUP);
    if (pipe2(report, O_CLOEXEC)) {
        snprintf(ret->failure, sizeof ret->failure, "cannot be started: %s", strerror(errno));
        return;
    }
    launch_signals_take(&stop, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        worker(plan, tap, output, &before, &stop, parent, report[1]);
    close(report[1]);
    if (pid < 0)
        snprintf(ret->failure, sizeof ret->failure, "cannot be started: %s", strerror(errno));
    /* SIGCHLD stays taken until the end, or an ignored one would reap our child. */
    sigprocmask(SIG_SETMASK, &before.mask, NULL);
    if (pid > 0)
        report_read(report[0], pid, ret);
    launch_signals_restore(&before);
    close(report[0]);
}
