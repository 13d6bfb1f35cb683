/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <backend/linkage.h>
#include <compiler.h>
#include <config/config.h>
#include <sys.h>

#include <string.h>

/* Too much code to look through at every start: whatever is that large is taken for shut in. */
#define CODE_MAX (16u << 20)

/* The system's own libraries import these for other ends. */
static bool belongs_to_system(const struct linked_object *object)
{
    static const char *const places[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (strncmp(object->path, places[i], strlen(places[i])) == 0)
            return true;
    return false;
}

/*
 * PR_SET_SECCOMP for prctl() and SYS_seccomp for syscall(), as compilers put a constant into the
 * register of the first argument: mov $number, %edi.
 */
static bool installs_filter(const unsigned char *code, size_t size)
{
    static const unsigned char loads[][5] = {{0xbf, 22, 0, 0, 0},
                                             {0xbf, 317 & 255, 317 >> 8, 0, 0}};
    const unsigned char *end = code + size;
    for (; (code = memchr(code, 0xbf, (size_t)(end - code))) != NULL; code++)
        for (size_t i = 0; i < ARRAY_LENGTH(loads); i++)
            if ((size_t)(end - code) >= sizeof loads[i] &&
                memcmp(code, loads[i], sizeof loads[i]) == 0)
                return true;
    return false;
}

static unsigned char buffer[65536]; /* only one thread starts the tap */

static bool range_installs_filter(int fd, uint64_t offset, uint64_t end)
{
    const size_t overlap = 4; /* a constant may lie across the end of what is read */
    while (offset + overlap < end) {
        size_t most = end - offset < sizeof buffer ? end - offset : sizeof buffer;
        long got = sys_pread(fd, buffer, most, offset);
        if (got <= (long)overlap || installs_filter(buffer, (size_t)got))
            return true;
        offset += (uint64_t)got - overlap;
    }
    return false;
}

/* Reads the code from the file: touching it where it is mapped would make all of it resident. What
 * cannot be read is suspect. */
static bool file_installs_filter(int fd)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[16];
    if (sys_pread(fd, &header, sizeof header, 0) != sizeof header ||
        header.e_phentsize != sizeof segments[0] || header.e_phnum > ARRAY_LENGTH(segments))
        return true;
    size_t size = header.e_phnum * sizeof segments[0];
    if (sys_pread(fd, segments, size, header.e_phoff) != (long)size)
        return true;
    for (size_t i = 0; i < header.e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_flags & PF_X &&
            (segments[i].p_filesz > CODE_MAX ||
             range_installs_filter(fd, segments[i].p_offset,
                                   segments[i].p_offset + segments[i].p_filesz)))
            return true;
    return false;
}

static bool has_installing_code(const struct linked_object *object)
{
#ifdef __x86_64__
    int fd = sys_open(object->path[0] != '\0' ? object->path : "/proc/self/exe", O_RDONLY, 0);
    if (fd < 0)
        return true;
    bool found = file_installs_filter(fd);
    sys_close(fd);
    return found;
#else
    return true;
#endif
}

static bool visit_suspect(const struct linked_object *object, void *self)
{
    static const char *const callers[] = {"prctl", "syscall"}, *const libseccomp = "seccomp_load";
    uintptr_t here = (uintptr_t)self;
    if (belongs_to_system(object) || (here >= object->start && here < object->end))
        return false;
    if (linkage_needs(object, &libseccomp, 1))
        return true;
    return linkage_needs(object, callers, ARRAY_LENGTH(callers)) && has_installing_code(object);
}

static bool libseccomp_loaded(void)
{
    struct linked_object object;
    return linkage_by_soname("libseccomp.so.2", &object);
}

bool sandbox_possible(void)
{
    if (config.sandbox != SANDBOX_AUTO)
        return config.sandbox == SANDBOX_YES;
    return libseccomp_loaded() || linkage_find(visit_suspect, (void *)(uintptr_t)&visit_suspect);
}

bool sandbox_since(void)
{
    return config.sandbox == SANDBOX_AUTO && libseccomp_loaded();
}
