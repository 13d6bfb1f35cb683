/* SPDX-License-Identifier: MIT */
#include "plugin.h"
#include "reference.h"
#include "shapes.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static struct probe_stack taken;

static void take(void *unused)
{
    probe_take(64, &taken);
    __asm__ volatile("" ::: "memory");
}

/* Load a library, take a stack through it, unload it. Returns its module; its address in *base. */
static const struct malloctap_module *visit(const char *path, uintptr_t *base)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL)
        fail_msg("%s", dlerror());
    __typeof__(&plugin_call) call = (__typeof__(&plugin_call))dlsym(library, "plugin_call");
    struct link_map *map = NULL;
    dlinfo(library, RTLD_DI_LINKMAP, &map);
    *base = map->l_addr;
    call(take, NULL);
    dlclose(library);
    return probe_module(taken.modules[1]);
}

/* Two libraries of one layout take turns at one address. */
static void alternate(const char *first, const char *second)
{
    uintptr_t base_first, base_second;
    const struct malloctap_module *a = visit(first, &base_first);
    for (int i = 0; i < 10; i++) {
        const struct malloctap_module *b = visit(second, &base_second);
        assert_int_equal(base_first, base_second); /* otherwise this tests nothing */
        assert_ptr_not_equal(a, b);
        assert_int_equal(a->start, b->start);
        assert_string_equal(a->path, first);
        assert_string_equal(b->path, second);
        assert_ptr_equal(visit(first, &base_first), a);
    }
}

static void test_same_address(void **state)
{
    alternate(PLUGIN_A, PLUGIN_B);
    assert_true(probe_module(taken.modules[1])->build_id_size > 0);
}

static void test_same_address_without_build_id(void **state)
{
    alternate(PLUGIN_C, PLUGIN_D);
    assert_int_equal(probe_module(taken.modules[1])->build_id_size, 0);
}

/* ---- what is remembered of a module that is there no more ------------------------------------ */

static void take_again(void *call)
{
    ((__typeof__(&plugin_call))call)(take, NULL);
    __asm__ volatile("" ::: "memory");
}

enum before { NOTHING, OTHER_FRAMES, LOST_WALK, BEFORE };

static __attribute__((noinline)) void take_through(const char *path, enum before before)
{
    void *library = dlopen(path, RTLD_NOW);
    __typeof__(&plugin_call) call = (__typeof__(&plugin_call))dlsym(library, "plugin_call");
    if (before == OTHER_FRAMES)
        take(NULL);
#ifdef __x86_64__
    if (before == LOST_WALK) /* a stack that is never joined */
        shape_rbx(take_again, (void *)call);
#endif
    call(take_again, (void *)call);
    assert_string_equal(probe_module(taken.modules[1])->path, path);
    assert_string_equal(probe_module(taken.modules[3])->path, path);
    dlclose(library);
}

/* All from one place: stacks that are the same but for the library. Often enough for each way to
 * begin a walk. */
static void test_same_stack_through_another(void **state)
{
    enum { TIMES = 12 };
    for (volatile int i = 0; i < TIMES * BEFORE; i++)
        take_through(i % 2 ? PLUGIN_B : PLUGIN_A, (enum before)(i / TIMES));
    assert_true(probe_was_joined(&taken));
}

/* More modules than a thread remembers. */
static void test_many_modules(void **state)
{
    enum { COPIES = 20 };
    char directory[] = "/tmp/stack-modules-XXXXXX", command[1024], path[128];
    void *libraries[COPIES];
    assert_non_null(mkdtemp(directory));
    for (int i = 0; i < COPIES; i++) {
        snprintf(path, sizeof(path), "%s/%d.so", directory, i);
        snprintf(command, sizeof(command), "cp '%s' %s", PLUGIN_C, path);
        assert_int_equal(system(command), 0);
        libraries[i] = dlopen(path, RTLD_NOW);
        assert_non_null(libraries[i]);
        unlink(path);
    }
    rmdir(directory);
    for (volatile int round = 0; round < 3; round++) {
        for (volatile int i = 0; i < COPIES; i++) {
            __typeof__(&plugin_call) call =
                (__typeof__(&plugin_call))dlsym(libraries[i], "plugin_call");
            for (volatile int j = 0; j < 2; j++)
                call(take, NULL);
            assert_true(probe_was_joined(&taken));
        }
    }
    for (int i = 0; i < COPIES; i++)
        dlclose(libraries[i]);
}

static const struct malloctap_module *module_at(uintptr_t address)
{
    for (uint32_t id = 1; id <= probe_module_count(); id++) {
        const struct malloctap_module *module = probe_module(id);
        if (address >= module->start && address < module->end)
            return module;
    }
    return NULL;
}

static void test_main_program(void **state)
{
    char path[1024] = "";
    take(NULL);
    const struct malloctap_module *module = probe_module(taken.modules[0]);
    assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    assert_string_equal(module->path, path);
    assert_int_equal(module->committed, 1);
    assert_true(module->build_id_size >= 8);
    assert_true(module->first_ticks > 0);
    assert_ptr_equal(module_at((uintptr_t)&taken), module); /* data too */
    assert_true((uintptr_t)&test_main_program >= module->start);
}

static void test_library(void **state)
{
    take(NULL);
    const struct malloctap_module *libc = probe_module(taken.modules[taken.count - 2]);
    Dl_info info;
    assert_true(dladdr((void *)&exit, &info));
    assert_int_equal(libc->start, (uintptr_t)info.dli_fbase);
    assert_int_equal(libc->bias, (uintptr_t)info.dli_fbase);
    struct stat recorded, truth;
    assert_int_equal(stat(libc->path, &recorded), 0);
    assert_int_equal(stat(info.dli_fname, &truth), 0);
    assert_int_equal(recorded.st_ino, truth.st_ino);
}

/* A name relative to the directory the process is in. */
static void test_relative_path(void **state)
{
    char directory[] = "/tmp/stack-modules-XXXXXX", link[64], back[1024];
    uintptr_t base;
    assert_non_null(mkdtemp(directory));
    snprintf(link, sizeof(link), "%s/relative.so", directory);
    assert_int_equal(symlink(PLUGIN_A, link), 0);
    assert_non_null(getcwd(back, sizeof(back)));
    assert_int_equal(chdir(directory), 0);
    probe_forget();
    const struct malloctap_module *module = visit("./relative.so", &base);
    struct stat recorded, truth;
    assert_int_equal(module->path[0], '/');
    assert_int_equal(stat(module->path, &recorded), 0);
    assert_int_equal(stat(PLUGIN_A, &truth), 0);
    assert_int_equal(recorded.st_ino, truth.st_ino);
    assert_int_equal(chdir(back), 0);
    unlink(link);
    rmdir(directory);
}

/* Each module once, however often it is met. */
static void test_no_duplicates(void **state)
{
    take(NULL);
    uint32_t before = probe_module_count();
    for (int i = 0; i < 100; i++)
        take(NULL);
    assert_int_equal(probe_module_count(), before);
}

static int prepare(void **state)
{
    return probe_init(STACK_WALKER_CFI) == STACK_WALKER_CFI ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_program),
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_no_duplicates),
        cmocka_unit_test(test_same_address),
        cmocka_unit_test(test_same_address_without_build_id),
        cmocka_unit_test(test_same_stack_through_another),
        cmocka_unit_test(test_many_modules),
        cmocka_unit_test(test_relative_path),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
