/* SPDX-License-Identifier: MIT */
/*
 * test_old_libc.c - as on a C library that cannot find objects without a lock: this program's
 * dlsym() hides that function from the stack side, and lends it a libunwind that can be held up.
 */
#include "plugin.h"
#include "reference.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *dlsym(void *restrict handle, const char *restrict name);

static struct probe_stack taken;
static _Atomic int entered, hold;
static sem_t inside, go_on;

static int backtrace_with_hold(void **pcs, int size)
{
    entered++;
    if (hold) {
        hold = 0;
        sem_post(&inside);
        sem_wait(&go_on);
    }
    int found = unw_backtrace(pcs, size);
    /* Without this function's own frame. */
    memmove(pcs, pcs + 1, (size_t)(found - 1) * sizeof(*pcs));
    return found - 1;
}

void *dlsym(void *restrict handle, const char *restrict name)
{
    if (strcmp(name, "unw_backtrace") == 0)
        return (void *)backtrace_with_hold;
    if (strcmp(name, "plugin_call") == 0)
        return dlvsym(handle, name, "PLUGIN_1");
    return NULL;
}

static void take(void *unused)
{
    probe_take(64, &taken);
    __asm__ volatile("" ::: "memory");
}

static int compare(const void *a, const void *b)
{
    REFERENCE_AGREES(&taken);
    assert_int_equal(taken.flags, 0);
    return *(const int *)a - *(const int *)b;
}

static void sort(void)
{
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof(numbers[0]), compare);
}

static void test_choice(void **state)
{
    assert_int_equal(probe_init(STACK_WALKER_AUTO), STACK_WALKER_LIBUNWIND);
    int before = entered;
    sort();
    assert_true(entered > before);
    for (uint32_t i = 0; i < taken.count; i++)
        assert_int_not_equal(taken.modules[i], 0);
}

static void *capture(void *unused)
{
    take(NULL);
    return NULL;
}

/* A child of a process that had a thread in libunwind must not enter it: locks may be taken. */
static void test_fork_while_inside(void **state)
{
    pthread_t thread;
    int status = -1;
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    hold = 1;
    pthread_create(&thread, NULL, capture, NULL);
    sem_wait(&inside);
    int before = entered;
    pid_t child = fork();
    if (child == 0) {
        probe_forget();
        sort();
        _exit(entered == before && taken.id != 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sem_post(&go_on);
    pthread_join(thread, NULL);
    /* The parent, and a child forked now, go on as before. */
    child = fork();
    if (child == 0) {
        probe_forget();
        sort();
        _exit(entered > before ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    before = entered;
    sort();
    assert_true(entered > before);
}

static void test_tables_of_listed_objects(void **state)
{
    probe_forget();
    assert_int_equal(probe_init(STACK_WALKER_CFI), STACK_WALKER_CFI);
    sort();
    for (uint32_t i = 0; i < taken.count; i++)
        assert_int_not_equal(taken.modules[i], 0);
}

/* What was loaded later is unknown code: a plain address, and whatever can be found beyond it. */
static void test_object_loaded_later(void **state)
{
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(PLUGIN_A, RTLD_NOW);
        __typeof__(&plugin_call) call = (__typeof__(&plugin_call))dlsym(library, "plugin_call");
        assert_non_null(call);
        call(take, NULL);
        assert_int_equal(taken.modules[1], 0);
        assert_true(taken.pcs[1] - (uintptr_t)call < 64);
        dlclose(library);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_fork_while_inside),
        cmocka_unit_test(test_tables_of_listed_objects),
        cmocka_unit_test(test_object_loaded_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
