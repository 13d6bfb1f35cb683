/* SPDX-License-Identifier: MIT */
/*
 * strict_malloc - an allocator with one lock that ends the program if a thread that is inside comes
 * in again: nobody may allocate from within it, nor while it holds its lock.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *memalign(size_t alignment, size_t size);
size_t malloc_usable_size(void *block);

#define RESERVED (4ull << 30)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside __attribute__((tls_model("initial-exec")));
static char *memory;
static size_t used;

static void *take(size_t alignment, size_t size)
{
    if (inside)
        abort();
    inside = true;
    pthread_mutex_lock(&lock);
    if (memory == NULL)
        memory = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uintptr_t block = ((uintptr_t)memory + used + 16 + alignment - 1) & ~(alignment - 1);
    bool fits = size < RESERVED && block + size < (uintptr_t)memory + RESERVED;
    if (fits) {
        used = block + size - (uintptr_t)memory;
        ((size_t *)block)[-1] = size;
    }
    pthread_mutex_unlock(&lock);
    inside = false;
    return fits ? (void *)block : NULL;
}

void *malloc(size_t size)
{
    return take(16, size);
}

void *calloc(size_t count, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : take(16, total);
}

void *realloc(void *block, size_t size)
{
    void *moved = take(16, size);
    if (block != NULL && moved != NULL) {
        size_t old = ((size_t *)block)[-1];
        memcpy(moved, block, old < size ? old : size);
    }
    return moved;
}

void free(void *block)
{
    if (inside)
        abort();
}

void *memalign(size_t alignment, size_t size)
{
    return take(alignment < 16 ? 16 : alignment, size);
}

size_t malloc_usable_size(void *block)
{
    if (inside)
        abort();
    return block == NULL ? 0 : ((size_t *)block)[-1];
}
