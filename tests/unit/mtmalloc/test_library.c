/* SPDX-License-Identifier: MIT */
/*
 * test_library.c - libmtmalloc.so as programs get it: preloaded, with options from the environment.
 *
 *   test_library LIBMTMALLOC
 *
 * Runs itself as the program.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *library;
static char self[4096];

/* Output of this program, run with the environment and as the program named; stderr included. */
static void run(const char *environment, const char *program, char *output, size_t size)
{
    char command[12000];
    snprintf(command, sizeof command, "LD_PRELOAD='%s' %s '%s' %s 2>&1", library, environment, self,
             program);
    FILE *from = popen(command, "r");
    size_t length = fread(output, 1, size - 1, from);
    output[length] = '\0';
    assert_int_equal(pclose(from), 0);
}

/* ---- programs -------------------------------------------------------------------------------- */

static int print_new_block(void)
{
    uint32_t *p = malloc(100);
    printf("%08x\n", p[0]);
    return 0;
}

static const char *const names[] = {"malloc",
                                    "calloc",
                                    "realloc",
                                    "reallocarray",
                                    "free",
                                    "free_sized",
                                    "free_aligned_sized",
                                    "memalign",
                                    "aligned_alloc",
                                    "posix_memalign",
                                    "valloc",
                                    "pvalloc",
                                    "malloc_usable_size",
                                    "mallocctl"};

/* The object that each function of the family comes from. */
static int print_objects(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Dl_info info = {0};
        void *function = dlsym(RTLD_DEFAULT, names[i]);
        if (function == NULL || dladdr(function, &info) == 0)
            return 1;
        printf("%s\n", info.dli_fname);
    }
    return 0;
}

/* With mallocctl() as a program would call it that does not link with the library. */
static int switch_at_run_time(void)
{
    void (*control)(int, long) = (void (*)(int, long))dlsym(RTLD_DEFAULT, "mallocctl");
    control(4, 1); /* MTINITBUFFER */
    return print_new_block();
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_all_names(void **state)
{
    char output[8192], *at = output;
    run("", "print_objects", output, sizeof output);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_memory_equal(at, library, strlen(library));
        at = strchr(at, '\n') + 1;
    }
    assert_int_equal(*at, '\0');
}

static void test_options(void **state)
{
    char output[4096];
    run("", "print_new_block", output, sizeof output);
    assert_string_not_equal(output, "baddcafe\n");
    run("MTMALLOC=doublefree=1,initbuffer=1,chunk=12", "print_new_block", output, sizeof output);
    assert_string_equal(output, "baddcafe\n");
    run("", "switch_at_run_time", output, sizeof output);
    assert_string_equal(output, "baddcafe\n");
}

static void test_bad_options(void **state)
{
    static const char *const bad[] = {"nosuch=1", "chunk=5", "chunk", "=", "initbuffer=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char environment[256], output[4096], expected[256];
        snprintf(environment, sizeof environment, "MTMALLOC=%s,initbuffer=1", bad[i]);
        snprintf(expected, sizeof expected, "mtmalloc: MTMALLOC: '%s' is no option", bad[i]);
        run(environment, "print_new_block", output, sizeof output);
        assert_memory_equal(output, expected, strlen(expected));
        assert_string_equal(strchr(output, '\n') + 1, "baddcafe\n"); /* the others count */
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_names),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
    };
    if (argc != 2)
        return 2;
    if (strcmp(argv[1], "print_new_block") == 0)
        return print_new_block();
    if (strcmp(argv[1], "print_objects") == 0)
        return print_objects();
    if (strcmp(argv[1], "switch_at_run_time") == 0)
        return switch_at_run_time();
    library = argv[1];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return 2;
    return cmocka_run_group_tests_name("mtmalloc-library", tests, NULL, NULL);
}
