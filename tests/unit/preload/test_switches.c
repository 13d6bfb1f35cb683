/* SPDX-License-Identifier: MIT */
/* Whether a thread lost its processor. The machine may take it away at any time, so what should
 * have kept it is tried until it did. */
#include "unit.h"

#include <probe/switches.h>

#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/rseq.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 1000 };

static bool kept_by(void (*work)(void))
{
    switches_watch();
    work();
    return switches_ruled_out();
}

static void do_nothing(void)
{
}

static void call_the_kernel(void)
{
    getppid();
}

static void sleep_a_while(void)
{
    const struct timespec nap = {0, 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

static void handle(int number)
{
    (void)number;
}

static void get_a_signal(void)
{
    raise(SIGUSR1);
}

/* As code does that has restartable sequences of its own. */
static void enter_another_section(void)
{
    static const struct rseq_cs other;
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    uint64_t *name = (uint64_t *)((char *)area + offsetof(struct rseq, rseq_cs));
    *name = (uintptr_t)&other;
    *name = 0;
}

static bool some_kept(void (*work)(void))
{
    for (int tries = 0; tries < TRIES; tries++)
        if (kept_by(work))
            return true;
    return false;
}

static bool no_areas(void)
{
    if (__rseq_size > 0)
        return false;
    print_message("no restartable sequences here\n");
    return true;
}

static void who_stays_is_told_from_who_leaves(void **state)
{
    if (no_areas())
        skip();
    assert_true(some_kept(do_nothing));
    assert_true(some_kept(call_the_kernel));
    for (int i = 0; i < 20; i++)
        assert_false(kept_by(sleep_a_while));
}

static void what_others_write_is_no_answer(void **state)
{
    if (no_areas())
        skip();
    signal(SIGUSR1, handle);
    assert_false(kept_by(get_a_signal));
    assert_false(kept_by(enter_another_section));
}

static volatile bool stop;

static void *take_the_processor(void *unused)
{
    while (!stop)
        ;
    return unused;
}

/* The kernel looks at the section, and finds it in order, each time a thread is preempted. */
static void a_watched_thread_may_be_preempted(void **state)
{
    pthread_t other;
    cpu_set_t here;
    long seen = 0;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    assert_int_equal(sched_setaffinity(0, sizeof here, &here), 0);
    assert_int_equal(pthread_create(&other, NULL, take_the_processor, NULL), 0);
    for (int i = 0; i < 100; i++)
        seen += kept_by((void (*)(void))sched_yield);
    stop = true;
    pthread_join(other, NULL);
    assert_true(no_areas() || seen < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stays_is_told_from_who_leaves),
        cmocka_unit_test(what_others_write_is_no_answer),
        cmocka_unit_test(a_watched_thread_may_be_preempted),
    };
    switches_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
