/* SPDX-License-Identifier: MIT */
/*
 * config.h - the options in MALLOCTAP=, read once, before the first call is forwarded.
 *
 * KEY=VALUE pairs separated by commas; a backslash takes the next character as it is. A pair that
 * is not understood is named once on stderr and ignored: the program must run all the same.
 */
#ifndef PRELOAD_CONFIG_H
#define PRELOAD_CONFIG_H

#include <compiler.h>
#include <malloctap/recording.h>
#include <stack/capture.h>

#include <stdbool.h>
#include <stdint.h>

/* Will the program forbid itself system calls, on pain of death? Strictly: all but read, write and
 * the end, and the processor's clock too. In order of what is left to the tap. */
enum config_sandbox { SANDBOX_AUTO, SANDBOX_NO, SANDBOX_YES, SANDBOX_STRICT };

/* The newest records, of which so many are kept unless told. */
#define CONFIG_RING (256u << 20)

struct config {
    char backend[64];
    char out[1024];
    enum malloctap_mode mode;
    enum stack_walker walker;
    enum config_sandbox sandbox;
    uint64_t calls;   /* one in so many calls is sampled, on average; given as 0: the default */
    uint64_t bytes;   /* one sample per so many bytes, on average; likewise */
    bool thin;        /* neither was given: the rate may fall as samples become many */
    uint64_t frames;  /* deepest stack recorded */
    uint64_t ring;    /* bytes of records kept; 0: all, as of a log unless told */
    uint32_t chunk;   /* bytes of a chunk of records */
    bool free_stacks; /* a log takes the stacks of frees, too */
    bool children;    /* record forked and executed children too */
    bool fresh;       /* `out` was not there before: what is there now is a parent's */
    bool quiet; /* say nothing on stderr; given as but:PID:PATH: unless this is that program */
    char as_given[512];
};

extern struct config config HIDDEN;

/*
 * Fill `config` from `options` (the value of MALLOCTAP, or NULL). `backend_option` is offered every
 * key that is not ours and returns 0 when it took it. Not thread-safe: called once at the start.
 */
void config_read(const char *options, int (*backend_option)(const char *key, const char *value));

/* What can be worked with. */
static inline uint64_t config_clamp_bytes(uint64_t bytes)
{
    const uint64_t most = 1ULL << 46;
    return bytes == 0 ? 1 : bytes > most ? most : bytes;
}

/* The cost of one call in units (bytes), so that one in `calls` calls is sampled. */
static inline uint64_t config_call_units(uint64_t calls, uint64_t bytes)
{
    return 1 + (bytes - 1) / calls;
}

/* One line on stderr: "malloctap: " and the parts up to NULL. Silent when quiet. */
void config_say(const char *part, ...) __attribute__((sentinel));

#endif
