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

/* What lld makes: other tables between the symbols and their names. Read as symbols, these need
 * names from anywhere. */
struct tables {
    ElfW(Sym) symbols[2];
    ElfW(Sym) others[16];
    uint32_t hash[16];
    char strings[16];
};

static struct linked_object read_tables(struct tables *tables)
{
    const ElfW(Dyn) dynamic[] = {
        {DT_SYMTAB, {.d_ptr = (uintptr_t)tables->symbols}},
        {DT_STRTAB, {.d_ptr = (uintptr_t)tables->strings}},
        {DT_STRSZ, {.d_val = sizeof tables->strings}},
        {DT_GNU_HASH, {.d_ptr = (uintptr_t)tables->hash}},
        {DT_VERSYM, {.d_ptr = (uintptr_t)tables->others}},
        {DT_NULL, {0}},
    };
    struct linked_object object = {.start = (uintptr_t)tables, .end = (uintptr_t)(tables + 1)};
    assert_true(linkage_read_dynamic(dynamic, &object));
    return object;
}

static void symbols_end_before_other_tables(void **state)
{
    (void)state;
    static const char *const needed[] = {"prctl"}, *const others[] = {"syscall"};
    const ElfW(Sym) wild = {.st_name = 0x7ffffff0, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)};
    struct tables tables = {.strings = "\0prctl"};
    tables.symbols[1] = wild;
    tables.symbols[1].st_name = 1;
    for (size_t i = 0; i < sizeof tables.others / sizeof *tables.others; i++)
        tables.others[i] = wild;
    /* One bucket; the beginning; one word of the filter; its shift and the word; the bucket. */
    const uint32_t naming[] = {1, 2, 1, 0, 0, 0, 2, 1}, naming_nothing[] = {1, 1, 1, 0, 0, 0, 0};
    for (int named = 0; named <= 1; named++) {
        memset(tables.hash, 0, sizeof tables.hash);
        memcpy(tables.hash, named ? naming : naming_nothing,
               named ? sizeof naming : sizeof naming_nothing);
        struct linked_object object = read_tables(&tables);
        assert_true(linkage_needs(&object, needed, 1));
        assert_false(linkage_needs(&object, others, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_malloc_is_what_the_loader_says),
        cmocka_unit_test(default_versions),
        cmocka_unit_test(indirect_functions_are_resolved),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(the_program_and_its_imports),
        cmocka_unit_test(symbols_end_before_other_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
