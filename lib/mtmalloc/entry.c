/* SPDX-License-Identifier: MIT */
/* entry.c - libmtmalloc.so: the standard names, and what a process of its own needs. */
#include "mtmalloc_api.h"
#include "os.h"

#include <malloctap/mtmalloc.h>
#include <text.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* Not in every libc's headers. */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size);
void *pvalloc(size_t size);
size_t malloc_usable_size(void *p);

EXPORT void *malloc(size_t size)
{
    return mtmalloc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return mtmalloc_calloc(count, size);
}

EXPORT void *realloc(void *p, size_t size)
{
    return mtmalloc_realloc(p, size);
}

EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    return mtmalloc_reallocarray(p, count, size);
}

EXPORT void free(void *p)
{
    mtmalloc_free(p);
}

EXPORT void free_sized(void *p, size_t size)
{
    mtmalloc_free_sized(p, size);
}

EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size)
{
    mtmalloc_free_aligned_sized(p, alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return mtmalloc_memalign(alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return mtmalloc_aligned_alloc(alignment, size);
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    return mtmalloc_posix_memalign(ret, alignment, size);
}

EXPORT void *valloc(size_t size)
{
    return mtmalloc_valloc(size);
}

EXPORT void *pvalloc(size_t size)
{
    return mtmalloc_pvalloc(size);
}

EXPORT size_t malloc_usable_size(void *p)
{
    return mtmalloc_usable_size(p);
}

EXPORT void mallocctl(int cmd, long value)
{
    mtmalloc_mallocctl(cmd, value);
}

/* ---- the environment --------------------------------------------------------------------- */

static void say_ignored(const char *option)
{
    char line[256];
    struct text text = text_begin(line, sizeof line);
    text_add(&text, "mtmalloc: MTMALLOC: '");
    text_add(&text, option);
    text_add(&text, "' is no option or has a bad value; there are chunk=9...256, doublefree=, "
                    "debugpattern= and initbuffer=0 or 1\n");
    mt_os_say(line, text.length);
}

/* MTMALLOC=KEY=VALUE,...; what is not understood is said once and ignored. */
static void read_options(const char *options)
{
    char option[64];
    while (*options != '\0') {
        size_t length = strcspn(options, ",");
        struct text text = text_begin(option, sizeof option);
        text_add_bytes(&text, options, length);
        char *value = strchr(option, '=');
        if (value != NULL)
            *value = '\0';
        if (text.cut || value == NULL || mtmalloc_option(option, value + 1) != 0) {
            if (value != NULL)
                *value = '=';
            say_ignored(option);
        }
        options += length + (options[length] == ',');
    }
}

__attribute__((constructor)) static void start(void)
{
    const char *options = secure_getenv("MTMALLOC");
    if (options != NULL)
        read_options(options);
    pthread_atfork(mtmalloc_fork_prepare, mtmalloc_fork_parent, mtmalloc_fork_child);
}
