/* SPDX-License-Identifier: MIT */
#include "library_search.h"

#include "elf_facts.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool candidate_take(const char *path, char *ret, size_t size)
{
    struct elf_facts facts;
    elf_facts_read(path, &facts);
    return facts.native && facts.executable && snprintf(ret, size, "%s", path) < (int)size;
}

/* ---- directories ---------------------------------------------------------------------------- */

/* `directory` may itself be a pattern. */
static bool directory_search(const char *directory, const char *pattern, char *ret, size_t size)
{
    char both[4096];
    if (snprintf(both, sizeof both, "%s/%s", directory, pattern) >= (int)sizeof both)
        return false;
    glob_t found;
    bool taken = false;
    if (glob(both, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && !taken; i++)
            taken = candidate_take(found.gl_pathv[i], ret, size);
    globfree(&found);
    return taken;
}

static bool library_path_search(const char *pattern, char *ret, size_t size)
{
    const char *list = getenv("LD_LIBRARY_PATH");
    while (list && *list) {
        size_t length = strcspn(list, ":;");
        char directory[4096];
        snprintf(directory, sizeof directory, "%.*s", length ? (int)length : 1,
                 length ? list : "."); /* an empty entry is the current directory */
        if (directory_search(directory, pattern, ret, size))
            return true;
        list += length;
        list += *list != '\0';
    }
    return false;
}

/* ---- the loader's cache --------------------------------------------------------------------- */

/*
 * /etc/ld.so.cache, as ldconfig of glibc writes it (an older format may stand in front):
 *
 *   magic[20] "glibc-ld.so.cache1.1", u32 entries, u32 length of strings, 20 bytes not needed here
 *   entries:  i32 flags, u32 key, u32 value, u32 os version, u64 hwcap
 *   strings;  key (file name) and value (path) are offsets from the magic
 */
static const char cache_magic[] = "glibc-ld.so.cache1.1";

struct cache_head {
    char magic[20];
    uint32_t entries;
    uint32_t unused[6];
};

struct cache_entry {
    int32_t flags;
    uint32_t key;
    uint32_t value;
    uint32_t os_version;
    uint64_t hwcap;
};

_Static_assert(sizeof(struct cache_head) == 48, "head of the loader's cache");
_Static_assert(sizeof(struct cache_entry) == 24, "entry of the loader's cache");

/* The string at an offset, or NULL unless it ends inside. */
static const char *cache_string(const char *cache, size_t length, uint32_t offset)
{
    return offset < length && memchr(cache + offset, '\0', length - offset) ? cache + offset : NULL;
}

static bool cache_search(const char *cache, size_t length, const char *pattern, char *ret,
                         size_t size)
{
    struct cache_head head;
    if (length < sizeof head)
        return false;
    memcpy(&head, cache, sizeof head);
    if (head.entries > (length - sizeof head) / sizeof(struct cache_entry))
        return false;
    for (uint32_t i = 0; i < head.entries; i++) {
        struct cache_entry entry;
        memcpy(&entry, cache + sizeof head + i * sizeof entry, sizeof entry);
        const char *key = cache_string(cache, length, entry.key);
        const char *value = cache_string(cache, length, entry.value);
        if (key && value && fnmatch(pattern, key, 0) == 0 && candidate_take(value, ret, size))
            return true;
    }
    return false;
}

bool library_search_cache(const char *cache_path, const char *pattern, char *ret, size_t size)
{
    int file = open(cache_path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0)
        return false;
    bool found = false;
    if (fstat(file, &status) == 0 && status.st_size > 0) {
        size_t length = (size_t)status.st_size;
        char *all = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
        if (all != MAP_FAILED) {
            char *cache = memmem(all, length, cache_magic, sizeof cache_magic - 1);
            if (cache)
                found = cache_search(cache, length - (size_t)(cache - all), pattern, ret, size);
            munmap(all, length);
        }
    }
    close(file);
    return found;
}

bool library_search(const char *pattern, char *ret, size_t size)
{
    static const char *const directories[] = {
        "/lib/*-linux-gnu",
        "/usr/lib/*-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
        "/usr/local/lib",
        "/usr/local/lib64",
        "/usr/lib/llvm-*/lib/clang/*/lib/linux",
        "/usr/lib64/clang/*/lib/linux",
    };
    if (library_path_search(pattern, ret, size) ||
        library_search_cache("/etc/ld.so.cache", pattern, ret, size))
        return true;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (directory_search(directories[i], pattern, ret, size))
            return true;
    return false;
}
