/* SPDX-License-Identifier: MIT */
/*
 * reentrant_malloc - an allocator that may be called from signal handlers at any time: it hands out
 * addresses in order from one reservation with one atomic addition, and takes nothing back. With
 * CALLS_PUBLIC_NAMES it makes of malloc and free what else there is, as musl does.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define RESERVED (8ULL << 30)

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **ret, size_t alignment, size_t size);
size_t malloc_usable_size(void *block);

static _Atomic(uintptr_t) next;

/* Each block is preceded by its size, in 16 bytes. */
#ifdef CALLS_PUBLIC_NAMES
#define OBTAIN(alignment, size) ((alignment) == 16 ? malloc(size) : aligned_alloc(alignment, size))
#define GIVE_BACK(block) free(block)
#else
#define OBTAIN(alignment, size) take(alignment, size)
#define GIVE_BACK(block) (void)(block)
#endif

static void *take(size_t alignment, size_t size)
{
    if (next == 0) {
        void *memory = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        uintptr_t expected = 0;
        if (memory != MAP_FAILED &&
            !atomic_compare_exchange_strong(&next, &expected, (uintptr_t)memory))
            munmap(memory, RESERVED);
    }
    if (size > RESERVED / 4 || alignment > RESERVED / 4) {
        errno = ENOMEM;
        return NULL;
    }
    if (alignment < 16)
        alignment = 16;
    uintptr_t start = atomic_fetch_add(&next, 16 + alignment + ((size + 15) & ~(size_t)15));
    uintptr_t block = (start + 16 + alignment - 1) & ~(alignment - 1);
    ((size_t *)block)[-1] = size;
    return (void *)block;
}

void *malloc(size_t size)
{
    return take(16, size);
}

void *calloc(size_t count, size_t size)
{
    size_t total;
    return OBTAIN(16, __builtin_mul_overflow(count, size, &total) ? SIZE_MAX : total);
}

void *realloc(void *block, size_t size)
{
    void *moved = OBTAIN(16, size);
    if (block != NULL && moved != NULL) {
        size_t old = malloc_usable_size(block);
        memcpy(moved, block, old < size ? old : size);
        GIVE_BACK(block);
    }
    return moved;
}

void free(void *block)
{
    (void)block;
}

void *memalign(size_t alignment, size_t size)
{
    return OBTAIN(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return take(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    void *block = OBTAIN(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *ret = block;
    return 0;
}

size_t malloc_usable_size(void *block)
{
    return block != NULL ? ((size_t *)block)[-1] : 0;
}
