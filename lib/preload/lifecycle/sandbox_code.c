/* SPDX-License-Identifier: MIT */
#include "sandbox_code.h"

#ifdef __x86_64__

#include <compiler.h>
#include <sys.h>

#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>

/* Too much code to look through at every start: whatever is that large is taken for shut in. */
#define CODE_MAX (64u << 20)
#define SLOTS_MAX 16u

/* The code of an object, and where it keeps the addresses of the functions that make such calls. */
struct calls {
    const struct linked_object *object;
    uintptr_t slots[SLOTS_MAX];
    size_t slot_count;
    uintptr_t start, end; /* of the code, as offsets from the object's bias, like the slots */
};

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

static bool is_slot(const struct calls *calls, uintptr_t place)
{
    for (size_t i = 0; i < calls->slot_count; i++)
        if (calls->slots[i] == place)
            return true;
    return false;
}

/* A call or jump by way of a slot, of which the instruction behind is at `next`. */
static bool goes_by_slot(const struct calls *calls, const unsigned char *code, uintptr_t next)
{
    int32_t distance;
    memcpy(&distance, code + 2, sizeof distance);
    return code[0] == 0xff && (code[1] == 0x15 || code[1] == 0x25) &&
           is_slot(calls, next + (uintptr_t)(intptr_t)distance);
}

/* What the linker makes for calls of other objects: a jump by way of a slot. */
static bool is_stub(const struct calls *calls, uintptr_t place)
{
    static const unsigned char mark[] = {0xf3, 0x0f, 0x1e, 0xfa}; /* endbr64 */
    enum { STUB_SIZE = 16, JUMP_SIZE = 6 };
    if (place < calls->start || place > calls->end || calls->end - place < STUB_SIZE)
        return false;
    const unsigned char *code = (const unsigned char *)calls->object->bias + place;
    size_t at = memcmp(code, mark, sizeof mark) == 0 ? sizeof mark : 0;
    at += code[at] == 0xf2; /* bnd */
    return goes_by_slot(calls, code + at, place + at + JUMP_SIZE);
}

/* Whether prctl() or syscall() is called soon after `at`. `base` is the place of code[0]. */
static bool calls_soon(const struct calls *calls, const unsigned char *code, size_t size, size_t at,
                       uintptr_t base)
{
    enum { NEAR = 64, CALL_SIZE = 5, LONGEST = 6 };
    for (size_t i = at + LOAD_SIZE; i < at + NEAR && i + LONGEST <= size; i++) {
        int32_t distance;
        memcpy(&distance, code + i + 1, sizeof distance);
        bool relative = code[i] == 0xe8 || code[i] == 0xe9;
        if ((relative && is_stub(calls, base + i + CALL_SIZE + (uintptr_t)(intptr_t)distance)) ||
            goes_by_slot(calls, code + i, base + i + LONGEST))
            return true;
    }
    return false;
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

static enum config_sandbox code_verdict(const struct calls *calls, const unsigned char *code,
                                        size_t size, uintptr_t base)
{
    enum config_sandbox verdict = SANDBOX_NO;
    for (size_t at = 0; at + LOAD_SIZE <= size; at++) {
        const unsigned char *found = memchr(code + at, LOAD_FIRST, size - LOAD_SIZE + 1 - at);
        if (found == NULL)
            break;
        at = (size_t)(found - code);
        enum config_sandbox call = call_verdict(code, size, at);
        if (call > verdict && calls_soon(calls, code, size, at, base))
            verdict = call;
    }
    return verdict;
}

static unsigned char buffer[65536]; /* only one thread starts the tap */

static enum config_sandbox range_verdict(const struct calls *calls, int fd, uint64_t offset,
                                         uint64_t end)
{
    const uint64_t overlap = 128; /* a call may lie across the end of what is read */
    const uint64_t start = offset;
    enum config_sandbox verdict = SANDBOX_NO;
    for (uint64_t read = 0; offset + read<end; offset += read> overlap ? read - overlap : read) {
        size_t most = end - offset < sizeof buffer ? end - offset : sizeof buffer;
        long got = sys_pread(fd, buffer, most, offset);
        if (got <= 0)
            return SANDBOX_YES;
        read = (uint64_t)got;
        uintptr_t base = calls->start + (offset - start);
        verdict = sandbox_stricter(verdict, code_verdict(calls, buffer, read, base));
    }
    return verdict;
}

/* Reads the code from the file: touching it where it is mapped would make all of it resident. What
 * cannot be read is suspect. */
static enum config_sandbox file_verdict(struct calls *calls, int fd)
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
        calls->start = segments[i].p_vaddr;
        calls->end = calls->start + segments[i].p_filesz;
        verdict = sandbox_stricter(verdict,
                                   range_verdict(calls, fd, start, start + segments[i].p_filesz));
    }
    return verdict;
}

enum config_sandbox sandbox_code_verdict(const struct linked_object *object,
                                         const char *const callers[], size_t count)
{
    struct calls calls = {.object = object};
    calls.slot_count = linkage_slots(object, callers, count, calls.slots, SLOTS_MAX);
    if (calls.slot_count > SLOTS_MAX)
        return SANDBOX_YES;
    int fd = sys_open(object->path[0] != '\0' ? object->path : "/proc/self/exe", O_RDONLY, 0);
    if (fd < 0)
        return SANDBOX_YES;
    enum config_sandbox verdict = file_verdict(&calls, fd);
    sys_close(fd);
    return verdict;
}

#else

/* Nobody has looked yet at how this is done in other machines' code. */
enum config_sandbox sandbox_code_verdict(const struct linked_object *object,
                                         const char *const callers[], size_t count)
{
    return SANDBOX_YES;
}

#endif
