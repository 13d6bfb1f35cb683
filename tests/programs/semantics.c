/* SPDX-License-Identifier: MIT */
/*
 * semantics [--no-pvalloc] - what the malloc family answers in its edge cases, a line each: NULL or
 * the alignment and usable size of the block, and errno. Every block is written in full. With the
 * tap in front, the lines must be the same as without, for the same allocator. Some allocators have
 * no pvalloc: then libc's would answer, with a block that the allocator cannot free.
 */
#include "truth.h"

#include <limits.h>

/* The compiler must not see that a size is too large or an alignment no power of two. */
static volatile size_t huge = PTRDIFF_MAX, half = SIZE_MAX / 2 + 2, all = SIZE_MAX, odd = 48,
                       zero = 0;

static void describe(const char *call, void *block, bool known_size)
{
    int error = errno;
    if (block == NULL) {
        printf("%-44s NULL errno %d\n", call, error);
        return;
    }
    size_t usable = malloc_usable_size(block);
    memset(block, 0xa5, usable);
    unsigned long alignment = 1ul << __builtin_ctzl((uintptr_t)block | 4096);
    printf("%-44s block, %s, usable %zu, errno %d\n", call,
           alignment >= 16 ? "aligned" : "NOT ALIGNED", known_size ? usable : 0, error);
}

/* The result of one call, its block freed, errno set to a value of ours before. */
#define SHOW(call)                                                                                 \
    do {                                                                                           \
        errno = 111;                                                                               \
        void *block = (call);                                                                      \
        describe(#call, block, true);                                                              \
        errno = 112;                                                                               \
        free(block);                                                                               \
        if (errno != 112)                                                                          \
            printf("%-44s changed errno to %d\n", "free", errno);                                  \
    } while (0)

#define SHOW_POSIX_MEMALIGN(alignment, size)                                                       \
    do {                                                                                           \
        void *block = (void *)0x5a;                                                                \
        errno = 111;                                                                               \
        int result = posix_memalign(&block, alignment, size);                                      \
        printf("posix_memalign(%s, %s) = %d, errno %d, %s\n", #alignment, #size, result, errno,    \
               block == (void *)0x5a ? "untouched"                                                 \
               : block == NULL       ? "NULL"                                                      \
                                     : "block");                                                         \
        if (result == 0) {                                                                         \
            if (block != NULL)                                                                     \
                memset(block, 0x5a, malloc_usable_size(block));                                    \
            free(block);                                                                           \
        }                                                                                          \
    } while (0)

static void *filled(size_t size)
{
    return memset(malloc(size), 0x11, size);
}

/* A failed realloc leaves the block as it was. */
static void show_failed_realloc(void)
{
    unsigned char *block = filled(100);
    errno = 111;
    void *moved = realloc(block, huge);
    printf("realloc(block, huge): %s errno %d, contents %s\n", moved == NULL ? "NULL" : "block",
           errno, block[0] == 0x11 && block[99] == 0x11 ? "kept" : "LOST");
    free(moved == NULL ? block : moved);
}

static void show_contents_kept(void)
{
    static const size_t sizes[] = {1, 24, 25, 1000, 5000, 70000, 300000, 8, 0};
    unsigned char *block = filled(1);
    size_t old = 1;
    for (const size_t *size = sizes; *size != 0; size++) {
        block = realloc(block, *size);
        size_t kept = old < *size ? old : *size;
        bool good = block[0] == 0x11 && block[kept - 1] == 0x11;
        printf("realloc %zu -> %zu: %s\n", old, *size, good ? "kept" : "LOST");
        memset(block, 0x11, *size);
        old = *size;
    }
    free(block);
}

static void show_zeroed(void)
{
    for (size_t size = 8; size < 1000000; size *= 7) {
        free(filled(size));
        unsigned char *block = calloc(1, size);
        size_t at = 0;
        while (at < size && block[at] == 0)
            at++;
        printf("calloc(1, %zu): %s\n", size, at == size ? "zero" : "NOT ZERO");
        free(block);
    }
}

int main(int argc, char **argv)
{
    bool pvalloc_known = argc < 2 || strcmp(argv[1], "--no-pvalloc") != 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    SHOW(malloc(0));
    SHOW(malloc(1));
    SHOW(malloc(24));
    SHOW(malloc(25));
    SHOW(malloc(4096));
    SHOW(malloc(65536));
    SHOW(malloc(1000000));
    SHOW(malloc(huge));
    SHOW(malloc(huge + 1));
    SHOW(malloc(all));
    SHOW(calloc(0, 8));
    SHOW(calloc(8, 0));
    SHOW(calloc(half, 2));
    SHOW(calloc(all, all));
    SHOW(realloc(NULL, 0));
    SHOW(realloc(NULL, 100));
    SHOW(realloc(filled(40), 0));
    SHOW(realloc(filled(40), 41));
    SHOW(realloc(filled(4000), 40));
    SHOW(realloc(NULL, huge));
    SHOW(reallocarray(NULL, 3, 40));
    SHOW(reallocarray(NULL, half, 2));
    SHOW(reallocarray(filled(40), 0, 2));
    SHOW(memalign(64, 100));
    SHOW(memalign(odd, 100));
    SHOW(memalign(zero, 100));
    SHOW(memalign(half, 100));
    SHOW(aligned_alloc(64, 100));
    SHOW(aligned_alloc(64, 0));
    SHOW(aligned_alloc(4096, huge));
    SHOW(valloc(0));
    SHOW(valloc(100));
    if (pvalloc_known) {
        SHOW(pvalloc(100));
        SHOW(pvalloc(all));
    }
    SHOW_POSIX_MEMALIGN(64, 100);
    SHOW_POSIX_MEMALIGN(64, 0);
    SHOW_POSIX_MEMALIGN(4, 8);
    SHOW_POSIX_MEMALIGN(odd, 8);
    SHOW_POSIX_MEMALIGN(zero, 8);
    SHOW_POSIX_MEMALIGN(8, huge);
    SHOW_POSIX_MEMALIGN(1 << 20, 100);
    printf("malloc_usable_size(NULL) = %zu\n", malloc_usable_size(NULL));
    show_failed_realloc();
    show_contents_kept();
    show_zeroed();
    return 0;
}
