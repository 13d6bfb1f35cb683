/* SPDX-License-Identifier: MIT */
/*
 * recording_builder.h - synthetic recordings for tests: no preload object, no process, no timing.
 *
 * A builder starts as a valid finished recording of nothing. What a test adds is kept in memory and
 * laid out when the file is written; until then the header and what is no record or stack may be
 * changed through the pointers handed out, which stay valid until the builder is destroyed. The
 * clock is set so that one tick is one nanosecond. Nothing is checked: a test of damage damages the
 * header here or the bytes of the image. A builder that runs out of memory ends the test.
 */
#ifndef SUPPORT_RECORDING_BUILDER_H
#define SUPPORT_RECORDING_BUILDER_H

#include <malloctap/recording.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_BUILDER_START_TICKS 1000u
#define RECORDING_BUILDER_CHUNK_SIZE 4096u

/* Samples that go into a chunk. */
#define RECORDING_BUILDER_CHUNK_SAMPLES                                                            \
    ((RECORDING_BUILDER_CHUNK_SIZE - sizeof(struct malloctap_chunk)) /                             \
     sizeof(struct malloctap_sample))

struct recording_builder;

struct recording_builder *recording_builder_create(void);
void recording_builder_destroy(struct recording_builder *builder);

/* The header; extents, extent_count are filled in by the layout. */
struct malloctap_header *recording_builder_header(struct recording_builder *builder);

/* A LIVE thread in a slot of its own; `thread` counts from 1. */
struct malloctap_thread_slot *recording_builder_add_thread(struct recording_builder *builder,
                                                           uint32_t tid, const char *name);

/* A committed module; returns its id, from 1. */
uint32_t recording_builder_add_module(struct recording_builder *builder, const char *path,
                                      uint64_t start, uint64_t end, uint64_t bias);
struct malloctap_module *recording_builder_module(struct recording_builder *builder, uint32_t id);

/* A stack of the given frames, innermost first (see recording_builder_frame()); returns its id. */
uint32_t recording_builder_add_stack(struct recording_builder *builder, const uint64_t *frames,
                                     uint32_t count, uint32_t flags);
uint64_t recording_builder_frame(uint32_t module, uint64_t offset);

struct malloctap_latency *recording_builder_add_latency(struct recording_builder *builder);
struct malloctap_lock_row *recording_builder_add_lock(struct recording_builder *builder);

/*
 * Append a record to the newest chunk of `thread`, opening a chunk when there is none or it is
 * full. The length in the record's head must be `size`, where the test does not want it otherwise.
 */
void recording_builder_add_record(struct recording_builder *builder, uint64_t thread,
                                  const void *record, size_t size);

/* Records of the known kinds; `head.kind` and `head.length` are filled in. */
void recording_builder_add_alloc(struct recording_builder *builder, uint64_t thread,
                                 struct malloctap_sample sample);
void recording_builder_add_free(struct recording_builder *builder, uint64_t thread,
                                struct malloctap_sample sample);
void recording_builder_add_freed(struct recording_builder *builder, uint64_t thread,
                                 struct malloctap_freed freed);

/* A call as a log holds it; see "the log" in recording.h. */
struct recording_builder_call {
    enum malloctap_op op;
    bool failed; /* an allocation that returned NULL */
    uint32_t stack;
    uint64_t ticks;    /* of a realloc: before the old block goes back */
    uint64_t duration; /* of a realloc: until the new block was obtained */
    uint64_t address;  /* 0: none */
    uint64_t size;
    uint64_t old; /* of a realloc: what it was given */
};

/* Append a call to the thread's newest chunk, if that holds a log and has room; else to a new one.
 */
void recording_builder_add_call(struct recording_builder *builder, uint64_t thread,
                                const struct recording_builder_call *call);

/* The same with bytes that the test encoded; `ticks` is first_ticks of a new chunk. */
void recording_builder_add_log(struct recording_builder *builder, uint64_t thread, uint64_t ticks,
                               const void *events, size_t size);

/* Seal the thread's newest chunk: its next record opens another one. */
void recording_builder_seal(struct recording_builder *builder, uint64_t thread);

/* Let extents of a kind be at most `size` bytes (a multiple of 4096), so that its area takes
 * several. By default an area is one extent. */
void recording_builder_split(struct recording_builder *builder, enum malloctap_extent_kind kind,
                             uint64_t size);

/* Lay the file out; free() the result. */
uint8_t *recording_builder_image(struct recording_builder *builder, size_t *size);

/* Write the image to `path`, replacing what is there. Returns 0, or -1 and errno. */
int recording_builder_write(struct recording_builder *builder, const char *path);

#endif
