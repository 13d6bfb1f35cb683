/* SPDX-License-Identifier: MIT */
#include "lifecycle.h"

#include "namespaces.h"
#include "sandbox.h"

#include <backend/backend.h>
#include <backend/linkage.h>
#include <backend/loader.h>
#include <backend/redirect.h>
#include <boot/arena.h>
#include <boot/strings.h>
#include <entry/operators.h>
#include <entry/reentry.h>
#include <config/config.h>
#include <mtmalloc_api.h>
#include <probe/probe.h>
#include <recording/area.h>
#include <recording/recording.h>
#include <recording/ring.h>
#include <recording/tid.h>
#include <sample/budget.h>
#include <sample/lives.h>
#include <sample/orders.h>
#include <sample/sample.h>
#include <sample/stacks.h>
#include <sys.h>
#include <wiped.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum { NEW, STARTING, READY };

#define REFUSED_NS 1000000000ull

/* Of this process; a child begins with zeros. */
static struct {
    uint32_t state;
    struct malloctap_lock_row *_Atomic lock_rows; /* in the recording; what mtmalloc counts in */
    struct malloctap_counters *unslotted;         /* in the recording's header */
    struct malloctap_counters early;              /* until there is one */
} WIPED process;

/* Of this process and all it will fork. */
static struct {
    bool started;       /* options and backend are chosen */
    bool forked;        /* this process is a fork of one that had started */
    bool kernel_wipes;  /* MADV_WIPEONFORK works */
    bool system_calls;  /* may be made after the start */
    bool notices_exits; /* exit_key is valid */
    pthread_key_t exit_key;
} image;

/* ---- memory that a child must not see -------------------------------------------------------- */

static bool lifecycle_wipe_on_fork(void)
{
    return wipe_on_fork(&process, sizeof process);
}

static void lifecycle_wipe(void)
{
    memset(&process, 0, sizeof process);
}

#define WIPED_MODULES(X) X(lifecycle) X(recording) X(area) X(ring) X(thread) X(stacks) X(lives)

static bool wipe_all_on_fork(void)
{
    bool wiped = true;
#define X(module) wiped = module##_wipe_on_fork() && wiped;
    WIPED_MODULES(X)
#undef X
    return wiped;
}

/* For kernels that do not wipe: fork() at least tells. A raw clone does not. */
static void wipe_all(void)
{
#define X(module) module##_wipe();
    WIPED_MODULES(X)
#undef X
}

/* ---- start ----------------------------------------------------------------------------------- */

/* MALLOCTAP as the program was given it. The first call may come before libc has set `environ`; the
 * initial stack holds it all the same: argc, argv[], NULL, envp[]. */
extern void *__libc_stack_end __attribute__((weak));

static const char *find_options(void)
{
    char **variable = environ;
    if (variable == NULL && &__libc_stack_end != NULL) {
        const long *argc = __libc_stack_end;
        variable = (char **)(argc + 1) + *argc + 1;
    }
    for (; variable != NULL && *variable != NULL; variable++)
        if (strncmp(*variable, "MALLOCTAP=", 10) == 0)
            return *variable + 10;
    return NULL;
}

static bool visit_first_malloc(const struct linked_object *object, void *ret)
{
    if (linkage_symbol(object, "malloc") == NULL)
        return false;
    *(struct linked_object *)ret = *object;
    return true;
}

/* Who defines malloc before the tap in link order gets the calls, and what it does with libc's is
 * its own business. */
static void look_ahead(void)
{
    struct linked_object first;
    uintptr_t self = (uintptr_t)&look_ahead;
    if (linkage_find(visit_first_malloc, &first) && (self < first.start || self >= first.end))
        config_say(first.path[0] ? first.path : "the program itself",
                   " defines malloc and stands before the tap: its callers are not seen", NULL);
    else
        redirect_libc();
}

/*
 * A recorded program may execute one that is made for musl, whose loader takes up the tap as well,
 * and gives the program up if it misses a symbol. So what glibc alone has is weak. pthread_atfork()
 * is a part of glibc that would be linked in here, with a symbol that is not.
 */
#pragma weak pthread_atfork
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *)
    __attribute__((weak));
extern void *__dso_handle HIDDEN;

static void at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    if (__register_atfork != NULL)
        __register_atfork(prepare, parent, child, &__dso_handle);
    else if (pthread_atfork != NULL)
        pthread_atfork(prepare, parent, child);
}

static void start_image(void)
{
    size_class_prepare();
    strings_init();
    config_read(find_options(), mtmalloc_option);
    /* Not the one that a library may have put in libc's place: libfaketime's allocates, and lies.
     */
    recording_clock *clock = (recording_clock *)loader_libc_function("clock_gettime");
    recording_use_clock(clock, CLOCK_MONOTONIC);
    backend_resolve(config.backend);
    reentry_init();
    /* Registered first, so that it prepares last: handlers of others may still allocate. */
    if (backend_identity.kind == BACKEND_MTMALLOC)
        at_fork(mtmalloc_fork_prepare, mtmalloc_fork_parent, mtmalloc_fork_child);
    look_ahead();
    namespaces_begin();
    image.kernel_wipes = wipe_all_on_fork();
    enum config_sandbox sandbox = sandbox_expected();
    image.system_calls = sandbox == SANDBOX_NO;
    if (sandbox == SANDBOX_STRICT)
        recording_use_clock(clock, CLOCK_MONOTONIC_COARSE);
    /* The room of a log without an end would be locked as well: some GiB that it may never need. */
    if (sandbox != SANDBOX_NO && config.ring == 0 && sandbox_locks_memory())
        config.ring = CONFIG_RING;
    image.started = true;
}

static void attach_lock_statistics(void)
{
    uint64_t offset;
    size_t size = mtmalloc_stats_rows() * sizeof(struct malloctap_lock_row);
    process.lock_rows = area_reserve(area_of(MALLOCTAP_EXTENT_LOCKS), size, &offset);
}

/* Counters that were added before there was a header move into it. */
static void move_early_counters(void)
{
    struct malloctap_counters *shared = &recording_header()->unslotted;
    __atomic_store_n(&process.unslotted, shared, __ATOMIC_RELEASE);
    uint64_t *from = (uint64_t *)&process.early, *to = (uint64_t *)shared;
    for (size_t i = 0; i < sizeof process.early / sizeof *from; i++)
        counter_add_shared(&to[i], __atomic_exchange_n(&from[i], 0, __ATOMIC_RELAXED));
}

/* A fork child says nothing: its standard error may by now be anything. */
static void start_child(void)
{
    image.forked = true;
    config.quiet = true;
    tid_recheck();
}

static void start_process(void)
{
    if (image.started)
        start_child();
    else
        start_image();
    /* Null and what came from the arena have no business on the fast path. */
    lives_mark(NULL, 16);
    lives_mark(arena_memory, arena_in_use());
    recording_open(image.forked, !image.system_calls, backend_identity.object);
    if (!image.system_calls)
        area_begin();
    if (backend_identity.kind == BACKEND_MTMALLOC)
        attach_lock_statistics();
    move_early_counters();
}

bool lifecycle_start(void)
{
    uint32_t state = __atomic_load_n(&process.state, __ATOMIC_ACQUIRE);
    if (likely(state == READY))
        return true;
    if (state != NEW || !__atomic_compare_exchange_n(&process.state, &state, STARTING, false,
                                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    start_process();
    /* Pairs with the acquire above: who sees READY sees the header and the backend. */
    __atomic_store_n(&process.state, READY, __ATOMIC_RELEASE);
    return true;
}

bool lifecycle_may_ask(void)
{
    return image.system_calls;
}

struct malloctap_counters *lifecycle_unslotted(void)
{
    struct malloctap_counters *shared = __atomic_load_n(&process.unslotted, __ATOMIC_ACQUIRE);
    return shared ? shared : &process.early;
}

/* ---- threads --------------------------------------------------------------------------------- */

/* The first thread of a program begins before any of the program's code has run. */
static void read_name(struct malloctap_thread_slot *slot)
{
    bool first = slot->thread == 1 && !image.forked;
    if (image.system_calls || first)
        syscall(SYS_prctl, PR_GET_NAME, slot->name, 0, 0, 0);
}

static void thread_ends(void *state)
{
    struct thread *thread = thread_current();
    /* In a fork child the thread may have no state of its own, or another one. */
    if (thread != state || thread->limit == LIMIT_UNKNOWN)
        return;
    int error = errno;
    if (thread->live_limit != 0)
        thread_lives_on(thread);
    /* While it records its end it is not to be sampled by a signal handler. */
    uint64_t limit = thread->limit;
    thread->busy_sp = 0;
    thread->busy = THREAD_BUSY;
    thread_change_limit(thread, limit, LIMIT_SLOW);
    read_name(thread_storage.slot);
    stacks_leave(thread);
    thread_leave(thread);
    if (backend_identity.kind == BACKEND_MTMALLOC)
        mtmalloc_stats_publish();
    thread->busy = THREAD_IDLE;
    thread_change_limit(thread, LIMIT_SLOW, limit);
    errno = error;
}

/* No slot was to be had: ask again in a while, not at every call. */
static bool refused_lately(void)
{
    return thread_storage.refused_ns != 0 &&
           recording_now_ns() < thread_storage.refused_ns + REFUSED_NS;
}

static void refuse(void)
{
    if (thread_storage.refused_ns == 0)
        recording_lost(threads_no_space, 1);
    thread_storage.refused_ns = recording_now_ns();
}

struct thread *lifecycle_thread(void)
{
    struct thread *thread = thread_current();
    if (likely(thread->limit != LIMIT_UNKNOWN))
        return thread;
    if (!lifecycle_start() || refused_lately())
        return NULL;
    struct malloctap_thread_slot *slot;
    thread = thread_claim(image.system_calls, &slot);
    if (thread == NULL) {
        refuse();
        return NULL;
    }
    sample_thread_init(thread, slot);
    read_name(slot);
    /* A signal handler may have forked meanwhile: then this is a child, and the slot its parent's.
     */
    if (__atomic_load_n(&process.state, __ATOMIC_RELAXED) != READY) {
        thread->limit = LIMIT_UNKNOWN;
        return NULL;
    }
    thread_publish(thread, slot, orders_next_limit(thread));
    /* The C library keeps the first 32 keys in the thread itself; beyond, it would allocate. */
    if (image.notices_exits && image.exit_key < 32)
        pthread_setspecific(image.exit_key, thread);
    return thread;
}

/* ---- constructor and destructor -------------------------------------------------------------- */

/* What the constructor does may allocate, through the hooks: that is ours, not the program's. */
static struct thread *own_work_begin(void)
{
    struct thread *thread = lifecycle_thread();
    if (thread != NULL) {
        thread->busy = THREAD_OWN_CALLS;
        thread->limit = LIMIT_SLOW;
    }
    return thread;
}

static void own_work_end(struct thread *thread)
{
    if (thread == NULL)
        return;
    thread_counters()->uncounted = 0;
    thread->busy = THREAD_IDLE;
    thread->limit = orders_next_limit(thread);
}

/* We come before glibc's own constructor. A library that is opened here has the loader run that,
 * too, and it is told what libc knows by then: nothing, of which the program would be left with no
 * name and no environment. (musl knows, and hands constructors no arguments.) */
static void tell_libc(int argc, char **argv, char **envp)
{
    if (environ != NULL || program_invocation_name[0] != '\0')
        return;
    environ = envp;
    if (argc < 1 || argv[0] == NULL)
        return;
    char *slash = strrchr(argv[0], '/');
    program_invocation_name = argv[0];
    program_invocation_short_name = slash != NULL ? slash + 1 : argv[0];
}

__attribute__((constructor(101))) static void lifecycle_constructor(int argc, char **argv,
                                                                    char **envp)
{
    struct thread *thread = own_work_begin();
    tid_init();
    operators_init();
    tell_libc(argc, argv, envp);
    stacks_open_walker(image.system_calls);
    probe_init(image.system_calls);
    budget_init(image.system_calls);
    image.notices_exits = pthread_key_create(&image.exit_key, thread_ends) == 0;
    if (backend_identity.kind == BACKEND_MTMALLOC) {
        mtmalloc_stats_attach(&process.lock_rows);
    }
    if (!image.kernel_wipes)
        at_fork(NULL, NULL, wipe_all);
    own_work_end(thread);
}

__attribute__((destructor)) static void lifecycle_destructor(void)
{
    int error = errno;
    if (__atomic_load_n(&process.state, __ATOMIC_ACQUIRE) == READY) {
        if (backend_identity.kind == BACKEND_MTMALLOC)
            mtmalloc_stats_publish();
        bool system_calls = image.system_calls && !sandbox_since();
        if (system_calls)
            namespaces_tell();
        recording_finish(system_calls);
    }
    errno = error;
}
