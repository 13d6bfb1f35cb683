/* SPDX-License-Identifier: MIT */
/* Which programs are refused before they run, and why. SUBJECT... are built beside this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"

#include <program_check.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct program program;

static void taken(const char *name)
{
    char message[8192];
    if (program_check(name, &program, message, sizeof message))
        fail_msg("%s: refused: %s", name, message);
}

static void refused(const char *name, const char *why)
{
    char message[8192];
    assert_int_equal(program_check(name, &program, message, sizeof message), -1);
    if (!strstr(message, why))
        fail_msg("%s: '%s' does not say '%s'", name, message, why);
    assert_null(strchr(message, '\n'));
}

static void ordinary_programs(void **state)
{
    taken(SUBJECT);
    assert_string_equal(program.path, SUBJECT);
    assert_string_equal(program.binary, SUBJECT);
    assert_null(program.warning);
    taken("sh");
    assert_true(program.path[0] == '/');
}

static void nothing_to_start(void **state)
{
    refused("", "empty");
    refused("/nonexistent/program", "No such file");
    refused("no-such-program-anywhere", "not found in PATH");
    refused(folder, "is a directory");
    refused("/dev/null", "not a regular file");
    refused(folder_copy("locked", SUBJECT, 0644), "may not be executed");
}

static void beside_but_not_in_path(void **state)
{
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    folder_copy("beside-me", SUBJECT, 0755);
    assert_int_equal(chdir(folder), 0);
    refused("beside-me", "write ./beside-me");
    taken("./beside-me");
    assert_int_equal(chdir(before), 0);
}

static void path_is_searched(void **state)
{
    char *path = strdup(getenv("PATH"));
    mkdir(folder_path("first"), 0755);
    mkdir(folder_path("second"), 0755);
    folder_copy("first/tool", SUBJECT, 0644);
    folder_copy("second/tool", SUBJECT, 0755);
    char list[3 * PATH_MAX];
    snprintf(list, sizeof list, "%s:%s", folder_path("first"), folder_path("second"));
    setenv("PATH", list, 1);
    taken("tool"); /* one that may not be executed is passed over */
    assert_string_equal(program.path, folder_path("second/tool"));
    unlink(folder_path("second/tool"));
    refused("tool", "may not be executed");
    setenv("PATH", path, 1);
    free(path);
}

static void scripts(void **state)
{
    char text[PATH_MAX + 16], line[PATH_MAX + 16];
    snprintf(text, sizeof text, "#! %s -x\n", SUBJECT);
    taken(folder_write("script", text, 0755));
    assert_string_equal(program.binary, SUBJECT);
    assert_string_equal(program.path, folder_path("script"));
    snprintf(line, sizeof line, "#!%s\n", folder_path("script"));
    taken(folder_write("script-of-script", line, 0755));
    assert_string_equal(program.binary, SUBJECT);
    taken(folder_write("through-env", "#!/usr/bin/env sh\n", 0755));
    assert_null(strstr(program.binary, "env"));
    taken(folder_write("env-options", "#!/usr/bin/env -S sh -e\n", 0755));
    assert_string_equal(program.binary, "/usr/bin/env");

    refused(folder_write("lost", "#!/nonexistent/interpreter\n", 0755), "its interpreter");
    refused(folder_write("env-lost", "#!/usr/bin/env no-such-program\n", 0755), "is not in PATH");
    refused(folder_write("no-line", "echo hello\n", 0755), "neither an ELF program nor a script");
    refused(folder_write("empty", "", 0755), "neither an ELF program nor a script");
    snprintf(line, sizeof line, "#!%s\n", folder_path("loop"));
    refused(folder_write("loop", line, 0755), "deep");
    snprintf(text, sizeof text, "#!%s\n", SUBJECT_STATIC);
    refused(folder_write("of-static", text, 0755), "statically linked");
}

static void without_a_loader(void **state)
{
    refused(SUBJECT_STATIC, "statically linked");
}

static void own_malloc_is_warned_of(void **state)
{
    taken(SUBJECT_OWN_MALLOC);
    assert_non_null(program.warning);
    assert_non_null(strstr(program.warning, "malloc of its own"));
}

static void inner_allocators_are_warned_of(void **state)
{
    taken(SUBJECT_INNER);
    assert_non_null(program.warning);
    assert_non_null(strstr(program.warning, "other names than malloc"));
}

static void sanitizers(void **state)
{
#ifdef SUBJECT_ASAN
    refused(SUBJECT_ASAN, "AddressSanitizer");
#else
    skip();
#endif
}

/* A copy with some bytes changed. */
static const char *patched(const char *name, off_t offset, const void *bytes, size_t length)
{
    const char *path = folder_copy(name, SUBJECT, 0755);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, length, offset), length);
    close(file);
    return path;
}

static void other_machines(void **state)
{
    const uint16_t machine = EM_S390, object = ET_REL;
    const unsigned char class = ELFCLASS32;
    refused(patched("s390", offsetof(Elf64_Ehdr, e_machine), &machine, sizeof machine),
            "another machine");
    refused(patched("small", EI_CLASS, &class, sizeof class), "another machine");
    refused(patched("object", offsetof(Elf64_Ehdr, e_type), &object, sizeof object), "object");
}

/* Whatever the headers say, it must end in a verdict, not in a crash. */
static void damaged_headers(void **state)
{
    char message[8192];
    for (off_t offset = 16; offset < (off_t)sizeof(Elf64_Ehdr); offset++) {
        const char *path = patched("damaged", offset, "\xff\xff\xff\xff", 4);
        program_check(path, &program, message, sizeof message);
    }
    for (off_t length = 1; length < 4096; length += 61) {
        const char *path = folder_copy("short", SUBJECT, 0755);
        assert_int_equal(truncate(path, length), 0);
        program_check(path, &program, message, sizeof message);
    }
}

static void changed_privilege(void **state)
{
    const char *path = folder_copy("suid", SUBJECT, 04755);
    taken(path); /* our own user's: changes nothing */
    if (getuid() != 0)
        skip();
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(chmod(path, 04755), 0);
    refused(path, "set-user-ID");
    assert_int_equal(chmod(path, 02755), 0);
    refused(path, "set-group-ID");
    assert_int_equal(chmod(path, 0755), 0);
    taken(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_programs),
        cmocka_unit_test(nothing_to_start),
        cmocka_unit_test(beside_but_not_in_path),
        cmocka_unit_test(path_is_searched),
        cmocka_unit_test(scripts),
        cmocka_unit_test(without_a_loader),
        cmocka_unit_test(own_malloc_is_warned_of),
        cmocka_unit_test(inner_allocators_are_warned_of),
        cmocka_unit_test(sanitizers),
        cmocka_unit_test(other_machines),
        cmocka_unit_test(damaged_headers),
        cmocka_unit_test(changed_privilege),
    };
    return cmocka_run_group_tests(tests, folder_create, folder_remove);
}
