/* SPDX-License-Identifier: MIT */
#include "recording.h"

#include "file.h"

#include <compiler.h>
#include <config/config.h>
#include <sys.h>
#include <text.h>
#include <wiped.h>

#include <elf.h>
#include <string.h>
#include <time.h>

/* Bytes mapped at the start, header included. What a small program takes fits in the first; what
 * one that may shut itself in has for good is 1024 threads, some 10 000 stacks, 100 000 records. A
 * log of such a one would rather risk the call that allocates more, which allocators make too, than
 * be lost: so much is mapped for it, and allocated as it is used. */
#define FIRST_SIZE (768u << 10)
#define FROZEN_SIZE (16u << 20)
#define FROZEN_LOG_SIZE (4ull << 30)

static struct recording {
    struct malloctap_header *header;
    uint64_t end; /* of the extents: where the next one begins in the file */
    char *room;   /* mapped and not used yet: what begins at `end` */
    uint64_t room_bytes;
    bool in_file;
    bool frozen; /* `room` is all there will be, and what lies before `allocated` is allocated */
    char *allocated;
} WIPED recording;

/* What may be mapped from a parent's recording. Not wiped: a child finds here what to let go of. */
static struct {
    void *memory;
    uint64_t size;
} mappings[MALLOCTAP_EXTENTS_MAX + 1];
static unsigned mapping_count;

static struct file file;

static recording_clock *clock_now = clock_gettime;
static clockid_t clock_id = CLOCK_MONOTONIC;

void recording_use_clock(recording_clock *clock, clockid_t id)
{
    clock_id = id;
    if (clock != NULL)
        clock_now = clock;
}

const char *recording_start_directory(void)
{
    return file.directory;
}

/* Stands in until there is a recording, and when there can be none at all. */
static struct malloctap_header no_header;

struct malloctap_header *recording_header(void)
{
    struct malloctap_header *header = __atomic_load_n(&recording.header, __ATOMIC_ACQUIRE);
    return header ? header : &no_header;
}

bool recording_in_file(void)
{
    return recording.in_file;
}

bool recording_clock_is_fine(void)
{
    return clock_id == CLOCK_MONOTONIC;
}

uint64_t recording_now_ns(void)
{
    struct timespec now;
    clock_now(clock_id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t recording_ticks(void)
{
    return recording_now_ns() / RECORDING_TICK_NS;
}

bool recording_wipe_on_fork(void)
{
    return wipe_on_fork(&recording, sizeof recording);
}

void recording_wipe(void)
{
    memset(&recording, 0, sizeof recording);
}

/*
 * A hook that a signal interrupted may have forked in its handler and come back here in the child
 * with a pointer into the parent's recording. It must not write there, and must not crash either:
 * so the mappings are replaced by memory of the child's own.
 */
static void let_go_of_parent(void)
{
    for (unsigned i = 0; i < mapping_count; i++)
        sys_map_over(mappings[i].memory, mappings[i].size);
    mapping_count = 0;
}

/* Into the header that a fork child still finds mapped, its parent's: it can tell nobody else. */
static void count_unrecorded_child(void)
{
    struct malloctap_header *parents = mapping_count == 0 ? NULL : mappings[0].memory;
    if (parents != NULL && parents->magic == MALLOCTAP_MAGIC)
        __atomic_fetch_add(&parents->children_unrecorded, 1, __ATOMIC_RELAXED);
}

static void remember_mapping(void *memory, uint64_t size)
{
    if (mapping_count == ARRAY_LENGTH(mappings))
        return;
    mappings[mapping_count].memory = memory;
    mappings[mapping_count].size = size;
    mapping_count++;
}

bool recording_was_wiped(void)
{
    return __atomic_load_n(&recording.header, __ATOMIC_RELAXED) == NULL;
}

/* Chunks are allocated when they are claimed: many are added at a time, and few may be used. Not
 * what was allocated at the start because the kernel may not be asked later. */
static bool filled_later(enum malloctap_extent_kind kind, const void *memory)
{
    return kind == MALLOCTAP_EXTENT_CHUNKS && recording.in_file &&
           (!recording.frozen || (const char *)memory >= recording.allocated);
}

/* Beyond the room: another part of the file. What was left of the room stays a hole in it. */
static void *map_beyond_room(enum malloctap_extent_kind kind, uint64_t size)
{
    if (recording.frozen || recording_was_wiped())
        return NULL;
    uint64_t offset = recording.end + recording.room_bytes;
    void *memory = recording.in_file ? file_extend(&file, offset, size, !filled_later(kind, NULL))
                                     : sys_map_anonymous(size);
    if (memory == NULL || recording_was_wiped())
        return NULL;
    remember_mapping(memory, size);
    recording.end = offset + size;
    recording.room_bytes = 0;
    return memory;
}

/* The next `size` bytes of the recording. */
static void *map_more(enum malloctap_extent_kind kind, uint64_t size)
{
    if (recording.room_bytes < size)
        return map_beyond_room(kind, size);
    char *memory = recording.room;
    bool allocated = memory + size <= recording.allocated;
    bool filled =
        !recording.in_file || allocated || filled_later(kind, memory) || file_fill(memory, size);
    /* Meanwhile a signal handler may have forked, and this be the child, where all was wiped. */
    if (!filled || recording_was_wiped())
        return NULL;
    recording.room += size;
    recording.room_bytes -= size;
    recording.end += size;
    return memory;
}

static bool lacks_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* The header and the room, in a file if one can be had. Where the kernel may not be asked later,
 * all of it is allocated now, or as much as there is space for. */
static struct malloctap_header *map_first(bool child, bool frozen, int *error)
{
    bool long_log = frozen && config.mode == MALLOCTAP_MODE_LOG && config.ring == 0;
    uint64_t allocated = frozen ? FROZEN_SIZE : MALLOCTAP_HEADER_SIZE, size;
    void *memory = NULL;
    *error = 0;
    if (!child || config.children) {
        do {
            size = long_log ? FROZEN_LOG_SIZE : frozen ? allocated : FIRST_SIZE;
            memory = file_create(&file, child, allocated, &size);
        } while (memory == NULL && frozen && lacks_space(errno) && (allocated /= 4) >= FIRST_SIZE);
        *error = errno;
        recording.in_file = memory != NULL;
        if (child && memory == NULL && *error != 0)
            count_unrecorded_child();
    }
    if (child)
        let_go_of_parent();
    if (memory == NULL) {
        size = FIRST_SIZE;
        memory = sys_map_anonymous(size);
    }
    if (memory == NULL)
        return NULL;
    remember_mapping(memory, size);
    recording.end = MALLOCTAP_HEADER_SIZE;
    recording.room = (char *)memory + MALLOCTAP_HEADER_SIZE;
    recording.room_bytes = size - MALLOCTAP_HEADER_SIZE;
    recording.allocated = (char *)memory + allocated;
    return memory;
}

static void read_command_line(char *to, size_t size)
{
    char raw[1024];
    long length = sys_read_file("/proc/self/cmdline", raw, sizeof raw);
    struct text text = text_begin(to, size);
    for (long at = 0; at < length;) {
        const char *argument = raw + at;
        size_t count = strnlen(argument, (size_t)(length - at));
        bool plain = count > 0 && strcspn(argument, " \t\n\"'\\$`*?[]<>|&;()#~!{}") >= count;
        if (at > 0)
            text_add(&text, " ");
        if (plain) {
            text_add_bytes(&text, argument, count);
        } else {
            text_add(&text, "'");
            for (size_t i = 0; i < count; i++)
                text_add_bytes(&text, argument[i] == '\'' ? "'\\''" : &argument[i],
                               argument[i] == '\'' ? 4 : 1);
            text_add(&text, "'");
        }
        at += (long)count + 1;
    }
}

static void copy_text(char *to, size_t size, const char *from)
{
    struct text text = text_begin(to, size);
    text_add(&text, from);
}

static void fill_clock(struct malloctap_header *header)
{
    struct timespec now;
    clock_now(CLOCK_REALTIME, &now);
    header->start_realtime_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    header->start_ticks = recording_ticks();
    header->clock_mult = RECORDING_TICK_NS;
    header->clock_shift = 0;
}

static void fill_header(struct malloctap_header *header, const char *backend_object)
{
    header->version = MALLOCTAP_VERSION;
    header->byte_order = MALLOCTAP_BYTE_ORDER;
    header->header_size = MALLOCTAP_HEADER_SIZE;
    header->header_used = sizeof *header;
    header->mode = config.mode;
    header->pid = (uint32_t)syscall(SYS_getpid);
    header->parent_pid = (uint32_t)syscall(SYS_getppid);
#ifdef __x86_64__
    header->arch = EM_X86_64;
#elif defined(__aarch64__)
    header->arch = EM_AARCH64;
#endif
    header->pointer_bits = 8 * sizeof(void *);
    header->page_size = (uint32_t)getpagesize();
    header->chunk_size = config.chunk;
    fill_clock(header);
    if (config.mode == MALLOCTAP_MODE_SAMPLE) {
        header->sample_mean = config.bytes;
        header->call_units = config_call_units(config.calls, config.bytes);
    }
    header->ring_limit = config.ring;
    long length = sys_readlink("/proc/self/exe", header->executable, sizeof header->executable - 1);
    header->executable[length > 0 ? length : 0] = '\0';
    read_command_line(header->command_line, sizeof header->command_line);
    copy_text(header->backend, sizeof header->backend, config.backend);
    copy_text(header->backend_object, sizeof header->backend_object, backend_object);
    copy_text(header->options, sizeof header->options, config.as_given);
    header->state = MALLOCTAP_STATE_RUNNING;
    /* With this the file is a recording. */
    __atomic_store_n(&header->magic, MALLOCTAP_MAGIC, __ATOMIC_RELEASE);
}

#ifdef __GLIBC__
#pragma weak strerrordesc_np /* see at_fork() in lifecycle.c */
#endif

/* Without translations, which would be read from a file. */
static const char *error_text(int error)
{
#ifdef __GLIBC__
    const char *text = strerrordesc_np != NULL ? strerrordesc_np(error) : NULL;
    return text ? text : "unknown error";
#else
    return strerror(error);
#endif
}

/* What is seen of a process from outside is the names of what it has mapped. */
static void tell_outside(int error)
{
    char name[64];
    struct text text = text_begin(name, sizeof name);
    text_add(&text, MALLOCTAP_UNRECORDED);
    text_add_number(&text, (uint64_t)error);
    int fd = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC);
    if (fd < 0)
        return;
    sys_map(4096, MAP_PRIVATE, fd, 0);
    sys_close(fd);
}

void recording_open(bool child, bool frozen, const char *backend_object)
{
    int error;
    struct malloctap_header *header = map_first(child, frozen, &error);
    recording.frozen = frozen;
    if (!recording.in_file && error != 0) {
        config_say("cannot record to ", file.path, ": ", error_text(error),
                   "; the program runs on, unrecorded", NULL);
        if (!child && !frozen)
            tell_outside(error);
    }
    if (header == NULL)
        header = &no_header;
    fill_header(header, backend_object);
    __atomic_store_n(&recording.header, header, __ATOMIC_RELEASE);
}

void *recording_add_extent(enum malloctap_extent_kind kind, uint64_t size)
{
    struct malloctap_header *header = recording_header();
    uint32_t index = header->extent_count;
    void *memory = NULL;
    if (index < MALLOCTAP_EXTENTS_MAX)
        memory = map_more(kind, size);
    if (memory == NULL) {
        recording_lost(extents_failed, 1);
        return NULL;
    }
    struct malloctap_extent *extent = &header->extents[index];
    extent->offset = recording.end - size;
    extent->size = size;
    /* A reader that sees the kind sees where the extent is. */
    __atomic_store_n(&extent->kind, kind, __ATOMIC_RELEASE);
    __atomic_store_n(&header->extent_count, index + 1, __ATOMIC_RELEASE);
    return memory;
}

bool recording_fill(void *memory, uint64_t size)
{
    return !filled_later(MALLOCTAP_EXTENT_CHUNKS, memory) || file_fill(memory, size);
}

void recording_let_go(void *memory, uint64_t size)
{
    if (filled_later(MALLOCTAP_EXTENT_CHUNKS, memory))
        file_let_go(memory, size);
}

void recording_lost_record(uint64_t ticks)
{
    uint64_t never = 0;
    __atomic_compare_exchange_n(&recording_header()->lost_since, &never, ticks, false,
                                __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    recording_lost(records_no_space, 1);
}

/* A line such as "VmHWM:   1234 kB" of /proc/self/status; 0 when it is not there. */
static uint64_t status_bytes(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    uint64_t kib = 0;
    if (line == NULL)
        return 0;
    for (line += strlen(name); *line == ' ' || *line == '\t'; line++)
        ;
    for (; *line >= '0' && *line <= '9'; line++)
        kib = kib * 10 + (uint64_t)(*line - '0');
    return kib * 1024;
}

static void read_memory(struct malloctap_header *header)
{
    char status[4096];
    if (sys_read_file("/proc/self/status", status, sizeof status) <= 0)
        return;
    header->peak_rss_bytes = status_bytes(status, "VmHWM:");
    header->rss_bytes = status_bytes(status, "VmRSS:");
}

void recording_finish(bool may_call_system)
{
    struct malloctap_header *header = recording_header();
    if (may_call_system)
        read_memory(header);
    header->end_ticks = recording_ticks();
    __atomic_store_n(&header->state, MALLOCTAP_STATE_FINISHED, __ATOMIC_RELEASE);
}
