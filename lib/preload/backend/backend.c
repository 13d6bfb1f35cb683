/* SPDX-License-Identifier: MIT */
#include "backend.h"

#include "guarded_mtmalloc.h"
#include "linkage.h"
#include "loader.h"

#include <boot/arena.h>
#include <compiler.h>
#include <config/config.h>
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

/* ---- functions a backend lacks, made of those it has ----------------------------------------- */

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

/* ---- finding them ---------------------------------------------------------------------------- */

static bool allocates_aligned(const struct linked_object *object)
{
    return linkage_symbol(object, "posix_memalign") || linkage_symbol(object, "memalign");
}

/*
 * Fill the table from one object. An allocator that lacks a function gets it made of its others:
 * libc's would hand out memory of libc's heap. An object that has no aligned allocation at all is
 * no allocator but another interposer, and what it does not wrap is found behind it. Sizes that an
 * object does not tell are asked of whom the program would ask without the tap: the object may well
 * be an interposer that wraps all the rest.
 */
static void take_functions(const struct linked_object *object, struct backend *ret)
{
    bool allocator = allocates_aligned(object);
    struct linked_object behind;
#define FUNCTION(name, result, parameters)                                                         \
    ret->name = (result(*) parameters)linkage_symbol(object, #name);                               \
    if (ret->name == NULL && !allocator && linkage_next_definer(#name, NULL, &behind))             \
        ret->name = (result(*) parameters)linkage_symbol(&behind, #name);
#include "functions.def"
#undef FUNCTION
    if (ret->malloc_usable_size == NULL &&
        linkage_next_definer("malloc_usable_size", NULL, &behind))
        ret->malloc_usable_size = (size_t(*)(void *))linkage_symbol(&behind, "malloc_usable_size");
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

/* The C library itself, also where another object in front defines some of its functions. */
static bool find_libc(struct linked_object *ret)
{
    void *function = loader_libc_function("malloc");
    return function != NULL && linkage_holder(function, ret);
}

/* Whether an allocator leaves malloc_usable_size() to others, who may know nothing of its blocks.
 */
static bool hides_sizes(const struct linked_object *object)
{
    return allocates_aligned(object) && linkage_symbol(object, "malloc_usable_size") == NULL;
}

static bool is_sanitizer(const struct linked_object *object)
{
    return linkage_symbol(object, "__sanitizer_get_allocated_size") != NULL;
}

/* Not so libc: it has few such calls, reallocarray()'s, and those are not taken from it. */
static bool calls_public(const struct linked_object *object)
{
    static const char *const names[] = {"malloc",         "free",          "calloc",  "realloc",
                                        "posix_memalign", "aligned_alloc", "memalign"};
    return linkage_binds(object, names, ARRAY_LENGTH(names));
}

static const char *const private_names[] = {
#define PRIVATE_NAME(name) #name,
#include <private_names.def>
#undef PRIVATE_NAME
};

static bool visit_private_caller(const struct linked_object *object, void *allocator)
{
    return object->start != ((const struct linked_object *)allocator)->start &&
           linkage_needs(object, private_names, ARRAY_LENGTH(private_names));
}

/* Why the program's blocks may go past the standard names, so that no other backend will do; NULL:
 * they do not. A sanitizer's runtime also makes those of strdup(), getline() and many more. */
static const char *bound_by(struct linked_object *allocator)
{
    if (is_sanitizer(allocator))
        return "this program is built with the sanitizer ";
    if (linkage_find(visit_private_caller, allocator))
        return "this program calls, by names of its own, ";
    return NULL;
}

static void use(enum backend_kind kind, const struct backend *functions, const char *object)
{
    struct text text = text_begin(backend_identity.object, sizeof backend_identity.object);
    text_add(&text, object);
    backend_identity.kind = kind;
    backend_identity.tells_sizes = true;
    backend = *functions;
}

void backend_resolve(const char *name)
{
    struct linked_object own_object, libc_object;
    struct backend own = {0}, libc = {0};
    bool have_own = linkage_next_definer("malloc", NULL, &own_object);
    bool have_libc = find_libc(&libc_object);
    bool linked_allocator = have_own && have_libc && own_object.start != libc_object.start;
    bool wants_other = !strcmp(name, "mtmalloc") || !strcmp(name, "libc");

    if (have_own)
        take_functions(&own_object, &own);
    if (have_libc)
        take_functions(&libc_object, &libc);
    const char *bound = wants_other && linked_allocator ? bound_by(&own_object) : NULL;
    if (bound != NULL)
        config_say(bound, own_object.path, "; backend ", name,
                   " would mix their blocks, so 'own' is used", NULL);
    else if (!strcmp(name, "mtmalloc")) {
        struct backend mtmalloc = guarded_mtmalloc(&own);
        use(BACKEND_MTMALLOC, &mtmalloc, "built in");
        return;
    } else if (!strcmp(name, "libc") && complete(&libc)) {
        use(BACKEND_LIBC, &libc, libc_object.path);
        return;
    }
    if (!complete(&own)) {
        config_say("no malloc found behind the tap; mtmalloc is used", NULL);
        struct backend mtmalloc = guarded_mtmalloc(&libc);
        use(BACKEND_MTMALLOC, &mtmalloc, "built in");
        return;
    }
    use(BACKEND_OWN, &own, own_object.path);
    backend_identity.tells_sizes = !is_sanitizer(&own_object) && !hides_sizes(&own_object);
    backend_identity.calls_public = linked_allocator && calls_public(&own_object);
    if (!wants_other && strcmp(name, "own") != 0 &&
        strstr(text_basename(own_object.path), name) == NULL)
        config_say("backend '", name, "' is not behind the tap (", own_object.path,
                   " is): name its library after libmalloctap.so in LD_PRELOAD, or use 'malloctap "
                   "run'",
                   NULL);
}
