/* SPDX-License-Identifier: MIT */
#include "backend.h"

#include "linkage.h"

#include <boot/arena.h>
#include <compiler.h>
#include <config/config.h>
#include <mtmalloc_api.h>
#include <text.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define PAGE 4096u

/* ---- before a backend is known: the arena ---------------------------------------------------- */

static void *early_alloc(size_t alignment, size_t size)
{
    void *block = arena_alloc(size, alignment);
    if (block == NULL)
        errno = ENOMEM;
    return block;
}

static void *early_malloc(size_t size)
{
    return early_alloc(16, size);
}

static void *early_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    return early_alloc(16, bytes);
}

static void *early_realloc(void *block, size_t size)
{
    void *moved = early_alloc(16, size);
    if (moved != NULL && block != NULL) {
        size_t had = arena_usable_size(block);
        memcpy(moved, block, had < size ? had : size);
    }
    return moved;
}

static void early_free(void *block)
{
}

/* ---- functions a backend lacks, made of those it has ------------------------------------------
 */

static bool power_of_two(size_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static int made_posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (!power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *block = backend.memalign(alignment, size);
    errno = saved;
    if (block == NULL)
        return ENOMEM;
    *ret = block;
    return 0;
}

static void *made_memalign(size_t alignment, size_t size)
{
    void *block = NULL;
    size_t used = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    int error = backend.posix_memalign(&block, used, size);
    if (error == 0)
        return block;
    errno = error;
    return NULL;
}

static void *made_aligned_alloc(size_t alignment, size_t size)
{
    return backend.memalign(alignment, size);
}

static void *made_valloc(size_t size)
{
    return backend.memalign(PAGE, size);
}

static void *made_pvalloc(size_t size)
{
    if (size > SIZE_MAX - PAGE) {
        errno = ENOMEM;
        return NULL;
    }
    return backend.memalign(PAGE, ALIGN_UP(size, (size_t)PAGE));
}

static size_t made_malloc_usable_size(void *block)
{
    return 0;
}

static void made_free_sized(void *block, size_t size)
{
    backend.free(block);
}

static void made_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    backend.free(block);
}

struct backend backend = {
    .malloc = early_malloc,
    .free = early_free,
    .calloc = early_calloc,
    .realloc = early_realloc,
    .posix_memalign = made_posix_memalign,
    .aligned_alloc = made_aligned_alloc,
    .memalign = early_alloc,
    .valloc = made_valloc,
    .pvalloc = made_pvalloc,
    .malloc_usable_size = made_malloc_usable_size,
    .free_sized = made_free_sized,
    .free_aligned_sized = made_free_aligned_sized,
};

struct backend_identity backend_identity;

static const struct backend backend_mtmalloc = {
    .malloc = mtmalloc_malloc,
    .free = mtmalloc_free,
    .calloc = mtmalloc_calloc,
    .realloc = mtmalloc_realloc,
    .posix_memalign = mtmalloc_posix_memalign,
    .aligned_alloc = mtmalloc_aligned_alloc,
    .memalign = mtmalloc_memalign,
    .valloc = mtmalloc_valloc,
    .pvalloc = mtmalloc_pvalloc,
    .malloc_usable_size = mtmalloc_usable_size,
    .free_sized = mtmalloc_free_sized,
    .free_aligned_sized = mtmalloc_free_aligned_sized,
};

/* ---- finding them ------------------------------------------------------------------------------
 */

/*
 * Fill the table from one object. An allocator that lacks a function gets it made of its others:
 * libc's would hand out memory of libc's heap. An object that has no aligned allocation at all is
 * no allocator but another interposer, and what it does not wrap is found behind it.
 */
static void take_functions(const struct linked_object *object, struct backend *ret)
{
    bool allocator = linkage_symbol(object, "posix_memalign") || linkage_symbol(object, "memalign");
    struct linked_object behind;
#define FUNCTION(name, result, parameters)                                                         \
    ret->name = (result(*) parameters)linkage_symbol(object, #name);                               \
    if (ret->name == NULL && !allocator && linkage_next_definer(#name, NULL, &behind))             \
        ret->name = (result(*) parameters)linkage_symbol(&behind, #name);
#include "functions.def"
#undef FUNCTION
    if (ret->memalign == NULL)
        ret->memalign = made_memalign;
    else if (ret->posix_memalign == NULL)
        ret->posix_memalign = made_posix_memalign;
#define MADE(name)                                                                                 \
    if (ret->name == NULL)                                                                         \
    ret->name = made_##name
    MADE(aligned_alloc);
    MADE(valloc);
    MADE(pvalloc);
    MADE(malloc_usable_size);
    MADE(free_sized);
    MADE(free_aligned_sized);
#undef MADE
}

static bool complete(const struct backend *functions)
{
    return functions->malloc && functions->free && functions->calloc && functions->realloc &&
           functions->posix_memalign;
}

/* The C library is the object that starts programs. */
static bool find_libc(struct linked_object *ret)
{
    return linkage_next_definer("__libc_start_main", NULL, ret) &&
           linkage_symbol(ret, "malloc") != NULL;
}

static void identify(enum backend_kind kind, const char *object)
{
    backend_identity.kind = kind;
    struct text text = text_begin(backend_identity.object, sizeof backend_identity.object);
    text_add(&text, object);
}

static bool use_object(enum backend_kind kind, const struct linked_object *object)
{
    struct backend functions;
    take_functions(object, &functions);
    if (!complete(&functions))
        return false;
    backend = functions;
    identify(kind, object->path);
    return true;
}

static bool same_object(const struct linked_object *a, const struct linked_object *b)
{
    return a->start == b->start;
}

void backend_resolve(const char *name)
{
    struct linked_object own, libc;
    bool have_own = linkage_next_definer("malloc", NULL, &own);
    bool have_libc = find_libc(&libc);
    bool linked_allocator = have_own && have_libc && !same_object(&own, &libc);

    if (!strcmp(name, "mtmalloc")) {
        backend = backend_mtmalloc;
        identify(BACKEND_MTMALLOC, "built in");
        backend_identity.foreign = linked_allocator;
        return;
    }
    if (!strcmp(name, "libc") && have_libc && use_object(BACKEND_LIBC, &libc)) {
        backend_identity.foreign = linked_allocator;
        return;
    }
    if (!have_own || !use_object(BACKEND_OWN, &own)) {
        config_say("no malloc found behind the tap; using mtmalloc", NULL);
        backend = backend_mtmalloc;
        identify(BACKEND_MTMALLOC, "built in");
        return;
    }
    if (strcmp(name, "own") != 0 && strstr(text_basename(own.path), name) == NULL)
        config_say(
            "backend '", name, "' is not behind the tap (found ", own.path,
            "): name its library after libmalloctap.so in LD_PRELOAD, or use 'malloctap run'",
            NULL);
}
