/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <backend/linkage.h>
#include <compiler.h>
#include <config/config.h>
#include <sys.h>

#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>

/* Too much code to look through at every start: whatever is that large is taken for shut in. */
#define CODE_MAX (16u << 20)

static enum config_sandbox stricter(enum config_sandbox one, enum config_sandbox other)
{
    return one > other ? one : other;
}

/* The system's own libraries import these for other ends. */
static bool belongs_to_system(const struct linked_object *object)
{
    static const char *const places[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (strncmp(object->path, places[i], strlen(places[i])) == 0)
            return true;
    return false;
}

/* How compilers put constants into the registers of the first and second argument. */
#define LOAD_FIRST 0xbf  /* mov $number, %edi */
#define LOAD_SECOND 0xbe /* mov $number, %esi */
#define LOAD_SIZE 5u

static bool loads(const unsigned char *code, unsigned char instruction, uint32_t number)
{
    uint32_t constant;
    memcpy(&constant, code + 1, sizeof constant);
    return code[0] == instruction && constant == number;
}

/* What the call does whose first argument is loaded at `at`: PR_SET_SECCOMP for prctl(),
 * SYS_seccomp for syscall(). */
static enum config_sandbox call_verdict(const unsigned char *code, size_t size, size_t at)
{
    enum { NEAR = 16 };
    if (loads(code + at, LOAD_FIRST, SYS_seccomp))
        return SANDBOX_YES;
    if (!loads(code + at, LOAD_FIRST, PR_SET_SECCOMP))
        return SANDBOX_NO;
    for (size_t i = at > NEAR ? at - NEAR : 0; i < at + NEAR && i + LOAD_SIZE <= size; i++)
        if (loads(code + i, LOAD_SECOND, SECCOMP_MODE_STRICT))
            return SANDBOX_STRICT;
    return SANDBOX_YES;
}

static enum config_sandbox code_verdict(const unsigned char *code, size_t size)
{
    enum config_sandbox verdict = SANDBOX_NO;
    for (size_t at = 0; at + LOAD_SIZE <= size; at++) {
        const unsigned char *found = memchr(code + at, LOAD_FIRST, size - LOAD_SIZE + 1 - at);
        if (found == NULL)
            break;
        at = (size_t)(found - code);
        verdict = stricter(verdict, call_verdict(code, size, at));
    }
    return verdict;
}

static unsigned char buffer[65536]; /* only one thread starts the tap */

static enum config_sandbox range_verdict(int fd, uint64_t offset, uint64_t end)
{
    const uint64_t overlap = 32; /* a call may lie across the end of what is read */
    enum config_sandbox verdict = SANDBOX_NO;
    for (uint64_t read = 0; offset + read<end; offset += read> overlap ? read - overlap : read) {
        size_t most = end - offset < sizeof buffer ? end - offset : sizeof buffer;
        long got = sys_pread(fd, buffer, most, offset);
        if (got <= 0)
            return SANDBOX_YES;
        read = (uint64_t)got;
        verdict = stricter(verdict, code_verdict(buffer, read));
    }
    return verdict;
}

/* Reads the code from the file: touching it where it is mapped would make all of it resident. What
 * cannot be read is suspect. */
static enum config_sandbox file_verdict(int fd)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[16];
    enum config_sandbox verdict = SANDBOX_NO;
    if (sys_pread(fd, &header, sizeof header, 0) != sizeof header ||
        header.e_phentsize != sizeof segments[0] || header.e_phnum > ARRAY_LENGTH(segments))
        return SANDBOX_YES;
    size_t size = header.e_phnum * sizeof segments[0];
    if (sys_pread(fd, segments, size, header.e_phoff) != (long)size)
        return SANDBOX_YES;
    for (size_t i = 0; i < header.e_phnum; i++) {
        if (segments[i].p_type != PT_LOAD || !(segments[i].p_flags & PF_X))
            continue;
        if (segments[i].p_filesz > CODE_MAX)
            return SANDBOX_YES;
        uint64_t start = segments[i].p_offset;
        verdict = stricter(verdict, range_verdict(fd, start, start + segments[i].p_filesz));
    }
    return verdict;
}

static enum config_sandbox object_verdict(const struct linked_object *object)
{
#ifdef __x86_64__
    int fd = sys_open(object->path[0] != '\0' ? object->path : "/proc/self/exe", O_RDONLY, 0);
    if (fd < 0)
        return SANDBOX_YES;
    enum config_sandbox verdict = file_verdict(fd);
    sys_close(fd);
    return verdict;
#else
    return SANDBOX_YES;
#endif
}

/* Goes on to the last object: another may be stricter. */
static bool visit_object(const struct linked_object *object, void *verdict)
{
    static const char *const callers[] = {"prctl", "syscall"}, *const libseccomp = "seccomp_load";
    enum config_sandbox *ret = verdict;
    uintptr_t here = (uintptr_t)&visit_object;
    if (belongs_to_system(object) || (here >= object->start && here < object->end))
        return false;
    if (linkage_needs(object, &libseccomp, 1))
        *ret = stricter(*ret, SANDBOX_YES);
    if (linkage_needs(object, callers, ARRAY_LENGTH(callers)))
        *ret = stricter(*ret, object_verdict(object));
    return false;
}

static bool libseccomp_loaded(void)
{
    struct linked_object object;
    return linkage_by_soname("libseccomp.so.2", &object);
}

enum config_sandbox sandbox_expected(void)
{
    if (config.sandbox != SANDBOX_AUTO)
        return config.sandbox;
    enum config_sandbox verdict = libseccomp_loaded() ? SANDBOX_YES : SANDBOX_NO;
    linkage_find(visit_object, &verdict);
    return verdict;
}

bool sandbox_since(void)
{
    return config.sandbox == SANDBOX_AUTO && libseccomp_loaded();
}
