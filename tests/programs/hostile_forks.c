/* SPDX-License-Identifier: MIT */
/*
 * hostile_forks - forks that an allocator with locks may hang in, while other threads allocate.
 *
 *   hostile_forks handlers | storm | shared | clone | interrupted
 *
 * handlers: pthread_atfork() handlers allocate, registered before and after any library's own.
 * storm: 16 threads allocate; a child allocates at once, in all sizes, and forks again.
 * shared: vfork and posix_spawn instead of fork.
 * clone: the clone system call, which tells nobody; a lock may be held by a thread that is not
 * there. interrupted: a signal handler, which may have interrupted the allocator, forks and
 * allocates in both processes. Only an allocator that promises it bears the last two.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, STORM_THREADS = 16, SIZES = 14 };

static atomic_bool stop;
extern char **environ;

static _Noreturn void fail(const char *what)
{
    dprintf(STDERR_FILENO, "hostile_forks: %s\n", what);
    _exit(1);
}

/* In a handler that interrupted the allocator not every block can be had. */
static _Thread_local volatile sig_atomic_t in_handler;

/* ---- blocks that know whether they are whole ------------------------------------------------- */

struct set {
    char *blocks[SIZES];
    int fill;
};

static size_t size_of(int i)
{
    return ((size_t)24 << i) - 5;
}

static void allocate(struct set *set, int fill)
{
    set->fill = fill;
    for (int i = 0; i < SIZES; i++) {
        set->blocks[i] = i % 3 == 0 ? calloc(1, size_of(i)) : malloc(size_of(i));
        if (set->blocks[i] != NULL)
            memset(set->blocks[i], fill, size_of(i));
        else if (!in_handler)
            fail("no memory");
    }
}

static void check(const struct set *set)
{
    for (int i = 0; i < SIZES; i++)
        if (set->blocks[i] != NULL &&
            (set->blocks[i][0] != (char)set->fill ||
             memcmp(set->blocks[i], set->blocks[i] + 1, size_of(i) - 1) != 0))
            fail("a block was changed");
}

static void resize(struct set *set)
{
    for (int i = 0; i < SIZES; i++) {
        if (set->blocks[i] == NULL)
            continue;
        char *larger = realloc(set->blocks[i], 3 * size_of(i));
        if (larger != NULL)
            set->blocks[i] = larger;
        else if (!in_handler)
            fail("no memory");
    }
    check(set);
}

static void release(struct set *set)
{
    check(set);
    for (int i = 0; i < SIZES; i++)
        free(set->blocks[i]);
}

static void use_all_sizes(int fill)
{
    struct set set;
    allocate(&set, fill);
    resize(&set);
    release(&set);
}

/* ---- handlers of fork ------------------------------------------------------------------------ */

/* Handlers prepare in reverse order of registration: the first ones allocate when all others, an
 * allocator's too, have locked what they have; and their child handlers run before those unlock. */
static struct set before_fork[2], kept;
static bool handling;

static void on_prepare(int i)
{
    if (!handling)
        return;
    allocate(&before_fork[i], 'p');
    resize(&before_fork[i]);
    use_all_sizes('q');
}

static void on_end(int i)
{
    if (!handling)
        return;
    use_all_sizes('e');
    release(&before_fork[i]);
    release(&kept);
    allocate(&kept, 'k');
}

static void prepare_first(void)
{
    on_prepare(0);
}

static void end_first(void)
{
    on_end(0);
}

static void prepare_last(void)
{
    on_prepare(1);
}

static void end_last(void)
{
    on_end(1);
}

/* Before the constructor of any library. */
static void register_first(void)
{
    pthread_atfork(prepare_first, end_first, end_first);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = register_first;

/* ---- processes ------------------------------------------------------------------------------- */

static void wait_for(pid_t pid)
{
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fail("a child did not end well");
}

/* A lock that nobody will release: end by SIGALRM, not hang. */
static void begin_child(void)
{
    alarm(20);
    use_all_sizes('c');
}

static void fork_twice(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        begin_child();
        pid = fork();
        if (pid == 0) {
            begin_child();
            _exit(0);
        }
        wait_for(pid);
        use_all_sizes('d');
        _exit(0);
    }
    wait_for(pid);
    use_all_sizes('f');
}

static void run_handlers(void)
{
    pthread_atfork(prepare_last, end_last, end_last);
    allocate(&kept, 'k');
    handling = true;
    for (int i = 0; i < 100; i++)
        fork_twice();
    handling = false;
}

static void run_storm(void)
{
    for (int i = 0; i < 25; i++)
        fork_twice();
}

static void run_shared(void)
{
    char *const arguments[] = {"true", NULL};
    for (int i = 0; i < 100; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execve("/bin/true", arguments, environ);
            _exit(1);
        }
        wait_for(pid);
        if (posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) != 0)
            fail("no child");
        wait_for(pid);
        use_all_sizes('s');
    }
}

static void run_clone(void)
{
    for (int i = 0; i < 200; i++) {
        pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0) {
            begin_child();
            _exit(0);
        }
        wait_for(pid);
        use_all_sizes('f');
    }
}

/* ---- forks in a signal handler --------------------------------------------------------------- */

static volatile sig_atomic_t signals;

/* What it interrupted goes on in the parent only. */
static void on_alarm(int signal)
{
    in_handler = true;
    use_all_sizes('h');
    pid_t pid = fork();
    if (pid == 0) {
        begin_child();
        _exit(signal == SIGALRM ? 0 : 1);
    }
    wait_for(pid);
    use_all_sizes('i');
    in_handler = false;
    signals++;
}

static void run_interrupted(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    static const struct itimerval soon = {{0, 0}, {0, 200}};
    while (signals < 300) {
        int before = signals;
        setitimer(ITIMER_REAL, &soon, NULL);
        while (signals == before)
            for (int size = 16; size < 200000; size *= 3)
                free(malloc((size_t)size));
    }
}

/* ---- the other threads ----------------------------------------------------------------------- */

static void *make_noise(void *unused)
{
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    for (int i = 0; !atomic_load(&stop); i++)
        use_all_sizes(i);
    return unused;
}

static const struct {
    const char *name;
    void (*run)(void);
    int threads;
} modes[] = {
    {"handlers", run_handlers, THREADS}, {"storm", run_storm, STORM_THREADS},
    {"shared", run_shared, THREADS},     {"clone", run_clone, THREADS},
    {"interrupted", run_interrupted, 2},
};

int main(int argc, char **argv)
{
    for (size_t m = 0; argc == 2 && m < sizeof modes / sizeof modes[0]; m++) {
        if (strcmp(modes[m].name, argv[1]) != 0)
            continue;
        pthread_t ids[STORM_THREADS];
        for (int i = 0; i < modes[m].threads; i++)
            if (pthread_create(&ids[i], NULL, make_noise, NULL) != 0)
                return 2;
        modes[m].run();
        atomic_store(&stop, true);
        for (int i = 0; i < modes[m].threads; i++)
            pthread_join(ids[i], NULL);
        return 0;
    }
    return 2;
}
