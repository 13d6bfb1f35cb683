/* SPDX-License-Identifier: MIT */
/*
 * customs - what programs do around malloc, one custom a run: prints what came of it, which must be
 * the same with a tap in front.
 *
 *   customs NAME [PLUGIN.so]
 */
#include <dlfcn.h>
#include <malloc.h>
#include <obstack.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static void *early;

__attribute__((constructor(101))) static void before_main(void)
{
    if (posix_memalign(&early, 4096, 100) != 0)
        abort();
}

static int churn(int rounds)
{
    size_t sum = 0;
    for (int i = 0; i < rounds; i++) {
        unsigned char *block = malloc(1 + (size_t)i % 2000);
        block[0] = (unsigned char)i;
        block = realloc(block, 3000);
        sum += block[0];
        free(block);
    }
    return (int)(sum % 1000);
}

/* What glibc tells of its heap is about its heap, whoever stands in front. */
static void introspection(const char *unused)
{
    void *block = malloc(100000);
    struct mallinfo2 info = mallinfo2();
    printf("in use %d, option %d\n", info.uordblks >= 100000, mallopt(M_MMAP_THRESHOLD, 1 << 20));
    free(block);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    int status = malloc_info(0, stream);
    fclose(stream);
    printf("info %d %d, trim %d\n", status, strstr(text, "<malloc") != NULL, malloc_trim(0) >= 0);
    free(text);
}

static void libc_allocates(const char *unused)
{
    struct obstack stack;
    obstack_init(&stack);
    for (int i = 0; i < 1000; i++)
        obstack_grow(&stack, "0123456789", 10);
    printf("obstack %d\n", (int)obstack_object_size(&stack));
    obstack_free(&stack, NULL);
    char *text = NULL;
    printf("asprintf %d\n", asprintf(&text, "%1000d", 7));
    free(text);
    void *(*internal)(size_t, size_t);
    *(void **)&internal = dlsym(RTLD_DEFAULT, "__libc_memalign");
    if (internal != NULL)
        free(internal(64, 1000));
    printf("early %d\n", early != NULL && (uintptr_t)early % 4096 == 0);
    free(early);
}

static void at_the_end(void)
{
    printf("at the end %d\n", churn(100));
    fflush(stdout);
}

static void quick_end(const char *unused)
{
    at_quick_exit(at_the_end);
    churn(100);
    quick_exit(0);
}

static void usual_end(const char *unused)
{
    atexit(at_the_end);
    churn(100);
}

static void *churn_for_ever(void *unused)
{
    for (;;) {
        churn(10);
        pthread_testcancel();
    }
    return unused;
}

static void cancellation(const char *unused)
{
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *result = NULL;
        pthread_create(&thread, NULL, churn_for_ever, NULL);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        if (result != PTHREAD_CANCELED)
            abort();
    }
    puts("all were cancelled");
}

static ucontext_t back, forth;

static void coroutine(void)
{
    for (int i = 0; i < 100; i++) {
        churn(20);
        swapcontext(&forth, &back);
    }
}

static void coroutines(const char *unused)
{
    size_t size = 65536;
    getcontext(&forth);
    forth.uc_stack.ss_sp = malloc(size);
    forth.uc_stack.ss_size = size;
    forth.uc_link = &back;
    makecontext(&forth, coroutine, 0);
    for (int i = 0; i < 100; i++) {
        swapcontext(&back, &forth);
        churn(20);
    }
    free(forth.uc_stack.ss_sp);
    puts("went back and forth");
}

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    handled += churn(10) >= 0 && number == SIGUSR1;
}

static void other_stack(const char *unused)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 100; i++)
        raise(SIGUSR1);
    printf("handled %d\n", (int)handled);
}

/* Takes every descriptor that may be a recorder's, and the memory behind nobody's back. */
static void close_range_all(const char *unused)
{
    churn(100);
    syscall(SYS_close_range, 3u, ~0u, 0u);
    printf("closed %d\n", churn(10000));
}

static void lost_directory(const char *unused)
{
    char path[] = "customs.XXXXXX";
    if (mkdtemp(path) == NULL || chdir(path) != 0 ||
        rmdir(strcat(strcpy((char[64]){0}, "../"), path)) != 0)
        abort();
    printf("nowhere %d\n", churn(20000));
}

static void changed_user(const char *unused)
{
    churn(100);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        abort();
    printf("somebody else %d\n", churn(20000));
}

static void undumpable(const char *unused)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    printf("undumpable %d\n", churn(20000));
}

static void many_forks(const char *unused)
{
    int good = 0;
    for (int i = 0; i < 100; i++) {
        int status = 1;
        pid_t child = fork();
        if (child == 0)
            _exit(churn(5) < 0);
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
            good++;
        churn(3);
    }
    printf("forked %d\n", good);
}

static void shells(const char *unused)
{
    char line[64] = "";
    fflush(stdout);
    int status = system("exit 3");
    FILE *pipe = popen("echo from a pipe", "r");
    if (pipe == NULL || fgets(line, sizeof line, pipe) == NULL)
        abort();
    pclose(pipe);
    printf("system %d, %s", WEXITSTATUS(status), line);
}

/* A second C library, in a namespace of its own. */
static void other_namespace(const char *path)
{
    void *library = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
    if (library == NULL)
        abort();
    void *(*make)(size_t);
    void (*drop)(void *);
    *(void **)&make = dlsym(library, "plugin_make");
    *(void **)&drop = dlsym(library, "plugin_drop");
    for (int i = 0; i < 1000; i++)
        drop(make(100));
    printf("two heaps %d\n", churn(1000));
}

static int deep(int depth)
{
    volatile char *room = __builtin_alloca(200);
    room[0] = (char)depth;
    return depth == 0 ? churn(100) : deep(depth - 1) + room[0] * 0;
}

static void deep_stack(const char *unused)
{
    printf("deep %d\n", deep(20000));
}

static const struct {
    const char *name;
    void (*run)(const char *argument);
} customs[] = {
    {"introspection", introspection},
    {"libc_allocates", libc_allocates},
    {"usual_end", usual_end},
    {"quick_end", quick_end},
    {"cancellation", cancellation},
    {"coroutines", coroutines},
    {"other_stack", other_stack},
    {"close_range_all", close_range_all},
    {"lost_directory", lost_directory},
    {"changed_user", changed_user},
    {"undumpable", undumpable},
    {"many_forks", many_forks},
    {"shells", shells},
    {"other_namespace", other_namespace},
    {"deep_stack", deep_stack},
};

/* Without a name: tells them all. */
int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof customs / sizeof *customs; i++) {
        if (argc < 2)
            puts(customs[i].name);
        else if (strcmp(argv[1], customs[i].name) == 0)
            customs[i].run(argv[2]);
    }
    return 0;
}
