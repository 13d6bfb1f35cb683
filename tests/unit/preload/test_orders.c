/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "process.h"

#include <config/config.h>
#include <probe/probe.h>
#include <recording/recording.h>
#include <sample/exponential.h>
#include <sample/lives.h>
#include <sample/orders.h>
#include <sample/watch.h>
#include <thread/thread.h>

#include <time.h>

/* What the rest of the tap says. */
static uint32_t live;
static bool asks, watchable;

uint32_t lives_count(void)
{
    return live;
}

bool probe_asks(void)
{
    return asks;
}

bool probe_watch(struct probe_mark *known)
{
    (void)known;
    return watchable;
}

static struct malloctap_thread_slot slot;
_Thread_local struct thread_storage thread_storage = {.slot = &slot};

static void begin(struct thread *thread, const char *options)
{
    config_read(options, NULL);
    recording_open(false, false, "");
    *thread = (struct thread){.random = 1};
    orders_begin(thread);
}

/* The default rate halves after 512 draws, four times, if none waits; a rate that was asked for
 * stays. */
static void rate_body(void)
{
    struct thread thread;
    begin(&thread, "out=x.mtap");
    uint64_t first = thread.orders.mean;
    for (unsigned draw = 0; draw < 512 * 10; draw++) {
        CHECK(orders_next_limit(&thread) >= 1);
        unsigned halved = draw / 512 < 4 ? draw / 512 : 4;
        CHECK(thread.orders.mean == first << halved);
        CHECK(thread.orders.budget.apart_ns == (uint64_t)ORDERS_APART_NS << halved);
    }
    orders_begin(&thread);
    for (unsigned draw = 0; draw < 512 * 10; draw++) {
        if (draw % 100 == 0)
            watch_note(&thread, true, true);
        orders_next_limit(&thread);
    }
    CHECK(thread.orders.mean == first);
    config_read("calls=4096", NULL);
    orders_begin(&thread);
    for (unsigned draw = 0; draw < 512 * 10; draw++)
        orders_next_limit(&thread);
    CHECK(thread.orders.mean == first);
}

static void the_default_rate_thins_out(void **state)
{
    (void)state;
    in_child(rate_body);
}

/* One call in one is every call, of any size. */
static void every_call_body(void)
{
    struct thread thread;
    begin(&thread, "out=x.mtap,calls=1");
    for (unsigned draw = 0; draw < 1000; draw++) {
        uint64_t limit = orders_next_limit(&thread);
        CHECK(limit > LIMIT_SLOW && limit <= thread.call_units);
        CHECK(exponential_weight(thread.call_units, thread.orders.mean) == 1);
    }
    config_read("calls=1,bytes=1", NULL);
    orders_begin(&thread);
    CHECK(orders_next_limit(&thread) <= thread.call_units);
}

static void one_call_in_one_is_every_call(void **state)
{
    (void)state;
    in_child(every_call_body);
}

/* Processor time, so that the next look at the clock finds the thread slow. */
static void work_for(uint64_t ns)
{
    struct timespec now;
    uint64_t end = 0, cpu;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        cpu = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        end = end ? end : cpu + ns;
    } while (cpu < end);
}

static void slow_body(void)
{
    struct thread thread;
    budget_init(true);
    begin(&thread, "out=x.mtap");
    uint64_t first = thread.orders.mean;
    for (unsigned draw = 0; draw < 4 * BUDGET_DRAWS; draw++) {
        work_for(10 * ORDERS_APART_NS);
        orders_next_limit(&thread);
    }
    CHECK(thread.orders.mean < first / 4);
    CHECK(thread.orders.mean >= 16 * thread.call_units);
    /* Not while many blocks are to be told from others. */
    live = 1000000;
    orders_next_limit(&thread);
    CHECK(thread.orders.mean == first);
    live = 0;
    orders_next_limit(&thread);
    CHECK(thread.orders.mean < first / 4);
    config_read("calls=4096", NULL);
    orders_begin(&thread);
    slot.cpu_ns = 0;
    for (unsigned draw = 0; draw < 4 * BUDGET_DRAWS; draw++) {
        work_for(10 * ORDERS_APART_NS);
        orders_next_limit(&thread);
    }
    CHECK(thread.orders.mean == first);
    /* What the processor was used for is known all the same, but for before the first look and
     * after the last. */
    CHECK(slot.cpu_ns >= 2 * BUDGET_DRAWS * 10 * (uint64_t)ORDERS_APART_NS);
    CHECK(slot.cpu_ns <= 5 * BUDGET_DRAWS * 10 * (uint64_t)ORDERS_APART_NS);
}

static void a_thread_that_calls_rarely_is_sampled_more(void **state)
{
    (void)state;
    in_child(slow_body);
}

/* Where the kernel may be asked, the limit comes some calls before the sample. */
static void lead_body(void)
{
    struct thread thread;
    begin(&thread, "out=x.mtap,calls=100,bytes=10000");
    asks = true;
    for (unsigned draw = 0; draw < 10000; draw++) {
        uint64_t limit = orders_next_limit(&thread), lead = 16 * thread.call_units;
        CHECK(limit == (thread.draw_at > lead + 1 ? thread.draw_at - lead : thread.draw_at));
    }
    asks = false;
    uint64_t limit = orders_next_limit(&thread);
    CHECK(limit == thread.draw_at);
}

static void samples_are_prepared(void **state)
{
    (void)state;
    in_child(lead_body);
}

/* Where a call costs little of what lies between two samples, the limit may come right at the
 * beginning; but not so that the next call is taken for one that is due. */
static void early_lead_body(void)
{
    struct thread thread;
    begin(&thread, "out=x.mtap,bytes=1K");
    asks = true;
    CHECK(thread.call_units == 1);
    for (unsigned draw = 0; draw < 100000; draw++) {
        uint64_t limit = orders_next_limit(&thread);
        CHECK(limit > LIMIT_SLOW || thread.draw_at == limit);
    }
}

static void preparing_makes_no_sample_due(void **state)
{
    (void)state;
    in_child(early_lead_body);
}

static void order(uint32_t mode, uint64_t calls, uint64_t bytes)
{
    struct malloctap_control *control = &recording_header()->control;
    control->mode = mode;
    control->calls = calls;
    control->bytes = bytes;
    __atomic_fetch_add(&control->generation, 1, __ATOMIC_RELEASE);
}

static void control_body(void)
{
    struct thread thread;
    begin(&thread, "out=x.mtap,mode=count,calls=100,bytes=1000");
    uint64_t limit = orders_next_limit(&thread);
    CHECK(thread.orders.mode == MALLOCTAP_MODE_COUNT && limit != LIMIT_NEVER &&
          limit != LIMIT_SLOW);
    CHECK(!orders_changed(&thread));

    order(MALLOCTAP_MODE_LOG, 0, 0);
    CHECK(orders_changed(&thread));
    CHECK(orders_next_limit(&thread) == LIMIT_SLOW && thread.orders.mode == MALLOCTAP_MODE_LOG);
    CHECK(!orders_changed(&thread) && recording_header()->control.seen == 1);

    order(MALLOCTAP_MODE_SAMPLE, 10, 0);
    orders_next_limit(&thread);
    CHECK(thread.orders.mode == MALLOCTAP_MODE_SAMPLE && thread.orders.mean == 1000 &&
          thread.call_units == 100);

    order(0, 0, 0);
    orders_next_limit(&thread);
    CHECK(thread.orders.mode == MALLOCTAP_MODE_COUNT);

    /* Nonsense in the file changes nothing that could hurt. */
    order(77, UINT64_MAX, UINT64_MAX);
    limit = orders_next_limit(&thread);
    CHECK(thread.orders.mode == MALLOCTAP_MODE_COUNT && thread.call_units >= 1 && limit >= 1);
}

/* A thread at the default rate whose calls take so long, of which one in so many drawn waits. */
static void begin_slow(struct thread *thread, uint64_t call_ns, unsigned one_in)
{
    begin(thread, "out=x.mtap");
    asks = watchable = true;
    thread->orders.budget.took_units = 1000 * thread->call_units;
    thread->orders.budget.took_ns = 1002 * call_ns;
    thread->orders.budget.mean = thread->orders.mean = 64 * thread->call_units;
    for (unsigned call = 0; call < 1000 && one_in > 0; call++)
        watch_note(thread, true, call % one_in == 0);
}

static bool watches_next(struct thread *thread)
{
    uint64_t limit = orders_next_limit(thread);
    CHECK((limit == LIMIT_SLOW) == thread->orders.watches);
    CHECK(thread->draw_at >= thread->mark_at && thread->draw_at > LIMIT_SLOW);
    return thread->orders.watches;
}

static void watch_body(void)
{
    struct thread thread;
    budget_init(false); /* what calls take is as said above */
    begin_slow(&thread, 10000, 100);
    CHECK(watches_next(&thread) && watches_next(&thread));
    begin_slow(&thread, 1000, 100); /* too fast */
    CHECK(!watches_next(&thread));
    begin_slow(&thread, 10000, 10); /* so many wait that samples tell */
    CHECK(!watches_next(&thread));
    begin_slow(&thread, 10000, 0); /* none does */
    CHECK(!watches_next(&thread));
    begin_slow(&thread, 100000, 0); /* but it would cost nothing */
    CHECK(watches_next(&thread));
    begin_slow(&thread, 10000, 100);
    watchable = false;
    CHECK(!watches_next(&thread));
    begin_slow(&thread, 100000, 0);
    live = 1000000;
    CHECK(!watches_next(&thread));
    live = 0;
    asks = false; /* not yet, or never */
    CHECK(!watches_next(&thread));
    asks = true;
    CHECK(watches_next(&thread));
    begin_slow(&thread, 10000, 100);
    thread.orders.adapts = false; /* a rate was asked for */
    CHECK(!watches_next(&thread));
}

static void where_waits_are_few_every_call_is_watched(void **state)
{
    (void)state;
    in_child(watch_body);
}

/* A wait that was only watched keeps the watch on; with none it ends. */
static void last_wait_body(void)
{
    struct thread thread;
    budget_init(false);
    begin_slow(&thread, 10000, 1000);
    for (unsigned draw = 0; draw < 2000; draw++) {
        CHECK(watches_next(&thread));
        if (draw % 200 == 0)
            watch_note(&thread, false, true);
    }
    unsigned more = 0;
    while (watches_next(&thread))
        more++;
    CHECK(more > 10 && more < 300);
}

static void the_watch_ends_when_nothing_waits(void **state)
{
    (void)state;
    in_child(last_wait_body);
}

static void suspicion_body(void)
{
    struct thread thread;
    budget_init(false);
    begin_slow(&thread, 10000, 0);
    unsigned watched = 0;
    for (unsigned draw = 0; draw < 2000; draw++) {
        thread.mark.sleeps++;
        watched += watches_next(&thread);
    }
    CHECK(watched > 2000 / 256 * 8 && watched < 2000 / 256 * 32);
}

static void who_sleeps_is_watched_now_and_then(void **state)
{
    (void)state;
    in_child(suspicion_body);
}

/* Others use what the watch rests on. */
static void alarms_body(void)
{
    struct thread thread;
    budget_init(false);
    begin_slow(&thread, 10000, 100);
    CHECK(watches_next(&thread));
    thread.orders.alarms = 1;
    CHECK(watches_next(&thread));
    thread.orders.alarms = 20;
    for (unsigned draw = 0; draw < 100; draw++) {
        CHECK(!watches_next(&thread));
        watch_note(&thread, true, draw % 50 == 0);
    }
}

static void a_watch_that_only_gives_alarms_is_given_up(void **state)
{
    (void)state;
    in_child(alarms_body);
}

/* It samples nothing, at whatever rate, and only looks whether there is something else to do; not
 * more rarely than every so many calls of up to 128 bytes. */
static void count_body(void)
{
    struct thread thread;
    begin(&thread, "out=x.mtap,mode=count,calls=1");
    double sum = 0;
    for (unsigned draw = 0; draw < 1000; draw++)
        sum += (double)orders_next_limit(&thread);
    double calls = sum / 1000 / (double)(thread.call_units + 128);
    CHECK(calls > 16384 && calls < 65536);
}

static void counting_looks_rarely(void **state)
{
    (void)state;
    in_child(count_body);
}

static void threads_do_as_the_header_says(void **state)
{
    (void)state;
    in_child(control_body);
}

static void unseen_body(void)
{
    struct thread thread;
    begin(&thread, "out=/dev/null/x.mtap,quiet=on");
    CHECK(orders_next_limit(&thread) == LIMIT_NEVER);
}

static void without_a_file_nothing_is_drawn(void **state)
{
    (void)state;
    in_child(unseen_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_rate_thins_out),
        cmocka_unit_test(one_call_in_one_is_every_call),
        cmocka_unit_test(a_thread_that_calls_rarely_is_sampled_more),
        cmocka_unit_test(samples_are_prepared),
        cmocka_unit_test(preparing_makes_no_sample_due),
        cmocka_unit_test(where_waits_are_few_every_call_is_watched),
        cmocka_unit_test(the_watch_ends_when_nothing_waits),
        cmocka_unit_test(who_sleeps_is_watched_now_and_then),
        cmocka_unit_test(a_watch_that_only_gives_alarms_is_given_up),
        cmocka_unit_test(counting_looks_rarely),
        cmocka_unit_test(threads_do_as_the_header_says),
        cmocka_unit_test(without_a_file_nothing_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
