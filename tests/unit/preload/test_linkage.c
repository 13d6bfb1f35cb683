/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <backend/linkage.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void the_next_malloc_is_what_the_loader_says(void **state)
{
    (void)state;
    struct linked_object next;
    assert_true(linkage_next_definer("malloc", NULL, &next));
    assert_ptr_equal(linkage_symbol(&next, "malloc"), dlsym(RTLD_NEXT, "malloc"));
}

/* The default version of a symbol that has an old one too. */
static void default_versions(void **state)
{
    (void)state;
    struct linked_object libc;
    assert_true(linkage_by_soname("libc.so.6", &libc));
    static const char *const names[] = {"memalign", "posix_memalign", "pthread_create", "realloc"};
    void *handle = dlopen("libc.so.6", RTLD_NOLOAD | RTLD_LAZY);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_ptr_equal(linkage_symbol(&libc, names[i]), dlsym(handle, names[i]));
    dlclose(handle);
}

/* memcpy is an indirect function in glibc: what counts is where it leads. */
static void indirect_functions_are_resolved(void **state)
{
    (void)state;
    struct linked_object libc;
    assert_true(linkage_by_soname("libc.so.6", &libc));
    void *(*copy)(void *, const void *, size_t) = linkage_symbol(&libc, "memcpy");
    char to[4] = "";
    copy(to, "abc", 4);
    assert_string_equal(to, "abc");
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct linked_object object;
    assert_false(linkage_next_definer("no_such_function_anywhere", NULL, &object));
    assert_false(linkage_by_soname("libno-such.so.1", &object));
    assert_true(linkage_by_soname("libc.so.6", &object));
    assert_null(linkage_symbol(&object, "no_such_function_anywhere"));
    assert_false(linkage_next_definer("__libc_start_main", &object, &object));
}

static void the_program_and_its_imports(void **state)
{
    (void)state;
    struct linked_object program;
    assert_true(linkage_program(&program));
    assert_true((uintptr_t)&the_program_and_its_imports >= program.start);
    assert_true((uintptr_t)&the_program_and_its_imports < program.end);
    static const char *const needed[] = {"prctl", "dlopen"}, *const others[] = {"prctl", "dlope"};
    assert_true(linkage_needs(&program, needed, 2));
    assert_false(linkage_needs(&program, needed, 1));
    assert_false(linkage_needs(&program, others, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_malloc_is_what_the_loader_says),
        cmocka_unit_test(default_versions),
        cmocka_unit_test(indirect_functions_are_resolved),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(the_program_and_its_imports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
