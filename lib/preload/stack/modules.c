/* SPDX-License-Identifier: MIT */
#include "modules.h"

#include "compiler.h"
#include "recording/area.h"
#include "table.h"
#include "view.h"

#include <text.h>

#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES_MAX 8192u /* ids are 16 bits; few programs load a thousand objects */
#define BUCKETS 512u

/* Modules of objects that stay loaded, which need not be identified again. */
#define KEPT_MAX 32u

/* Of an object without a build-id, this much is compared: the program headers and what the linker
 * puts behind them, which is notes, hash tables and symbols. */
#define IDENTITY_BYTES 1024u

/* Identifies the content of an object for as long as the process lives. */
struct identity {
    const uint8_t *bytes; /* in the object's memory */
    uint32_t size;
    bool named;    /* no build-id: the name counts too */
    uint64_t hash; /* of all this */
};

/* Written once, then published by its bucket. */
struct module_entry {
    uintptr_t start, end, bias;
    struct identity identity;
    uint32_t next; /* id of an older one in the bucket; 0: none */
};

/* `high` is written last, and is 0 until then. */
struct range {
    uintptr_t low, high;
};

struct module_index {
    uint32_t kept_count; /* ever added: what is beyond KEPT_MAX found no room */
    struct range kept_ranges[KEPT_MAX];
    struct module kept[KEPT_MAX];
    uint32_t buckets[BUCKETS]; /* id of the newest; 0: none */
    uint32_t full;             /* the recording had no more space: do not ask again */
    struct module_entry entries[MODULES_MAX]; /* by id; pages of unused ones are never touched */
};

static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, size_t size)
{
    uint64_t word;
    for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 29;
    }
    if (size > 0) {
        word = 0;
        memcpy(&word, bytes, size);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 29;
    }
    return hash;
}

static uint64_t identity_hash(const struct identity *identity, const struct object *object)
{
    uint64_t hash = hash_bytes(identity->size, identity->bytes, identity->size);
    if (identity->named)
        hash = hash_bytes(hash, (const uint8_t *)object->name, strlen(object->name));
    return hash;
}

/*
 * Take the build-id if it is on the object's first page, as it is wherever a linker's defaults are
 * used; otherwise the beginning of that page. The page is found readable here; what may be mapped
 * at the same address later begins with a readable page as well, or is no object.
 */
static struct identity identify(const struct object *object)
{
    struct identity identity = {.bytes = (const uint8_t *)object->start, .named = true};
    const uint8_t *build_id;
    size_t size = objects_build_id(object, &build_id);
    if (size > 0 && (uintptr_t)build_id + size - object->start <= 4096) {
        identity.bytes = build_id;
        identity.size = (uint32_t)size;
        identity.named = false;
    } else if (object->end - object->start >= IDENTITY_BYTES &&
               stack_view_object_readable(object->start)) {
        identity.size = IDENTITY_BYTES;
    }
    identity.hash = identity_hash(&identity, object);
    return identity;
}

/* The object's path. The loader does not name the main program, and names other objects as they
 * were asked for, which may be relative to where the process was. */
static void describe_path(const struct object *object, char *path, size_t room)
{
    struct text text = text_begin(path, room);
    if (object->start == getauxval(AT_SYSINFO_EHDR)) {
        text_add(&text, "[vdso]");
    } else if (object->name[0] == '\0') {
        text_add(&text, area_executable());
    } else {
        if (object->name[0] != '/')
            text_add(&text, area_start_directory());
        text_add(&text, object->name);
    }
}

static void describe(const struct object *object, struct malloctap_module *record)
{
    const uint8_t *build_id;
    size_t size = objects_build_id(object, &build_id);
    record->start = object->start;
    record->end = object->end;
    record->bias = object->bias;
    record->first_ticks = area_ticks();
    if (size > 0 && size <= sizeof(record->build_id)) {
        memcpy(record->build_id, build_id, size);
        record->build_id_size = (uint32_t)size;
    }
    describe_path(object, record->path, sizeof(record->path));
    /* A reader that sees 1 sees all of it. */
    __atomic_store_n(&record->committed, 1, __ATOMIC_RELEASE);
}

static uint32_t *bucket_of(struct module_index *index, const struct object *object)
{
    return &index->buckets[(object->start >> 12) * 0x9e3779b97f4a7c15ULL >> 55];
}

static bool describes(const struct module_entry *entry, const struct object *object)
{
    return entry->start == object->start && entry->end == object->end &&
           entry->bias == object->bias &&
           entry->identity.hash == identity_hash(&entry->identity, object);
}

/* The module of this object among those from `id` on in their bucket; 0 when it is not there. */
static uint32_t find_from(const struct module_index *index, uint32_t id,
                          const struct object *object)
{
    while (id != 0) {
        const struct module_entry *entry = &index->entries[id];
        if (describes(entry, object))
            return id;
        id = entry->next;
    }
    return 0;
}

static cold uint32_t add(struct module_index *index, const struct object *object)
{
    uint32_t id = 0;
    if (__atomic_load_n(&index->full, __ATOMIC_RELAXED))
        return 0;
    struct malloctap_module *record = area_module_alloc(&id);
    if (record == NULL || id == 0 || id >= MODULES_MAX) {
        __atomic_store_n(&index->full, 1, __ATOMIC_RELAXED);
        return 0;
    }
    describe(object, record);
    struct module_entry *entry = &index->entries[id];
    entry->start = object->start;
    entry->end = object->end;
    entry->bias = object->bias;
    entry->identity = identify(object);
    uint32_t *bucket = bucket_of(index, object);
    entry->next = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);
    /* Release: pairs with the acquires, the entry is complete before it can be found. Another
     * thread may have been first: then its module counts, so that equal stacks stay equal. */
    do {
        uint32_t other = find_from(index, entry->next, object);
        if (other != 0)
            return other;
    } while (!__atomic_compare_exchange_n(bucket, &entry->next, id, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return id;
}

static uint32_t lookup(struct module_index *index, const struct object *object)
{
    uint32_t head = __atomic_load_n(bucket_of(index, object), __ATOMIC_ACQUIRE);
    uint32_t id = find_from(index, head, object);
    if (id != 0)
        return id;
    return add(index, object);
}

bool modules_lies_at(void **slot, uint32_t id, uintptr_t low, uintptr_t high)
{
    const struct module_index *index = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    struct object now;
    return index != NULL && objects_find(low, &now) && now.low == low && now.high == high &&
           describes(&index->entries[id % MODULES_MAX], &now);
}

static const struct module *find_kept(const struct module_index *index, uintptr_t address)
{
    uint32_t count = __atomic_load_n(&index->kept_count, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < count && i < KEPT_MAX; i++) {
        /* Pairs with the release in keep(): who sees the range finds the module. */
        uintptr_t high = __atomic_load_n(&index->kept_ranges[i].high, __ATOMIC_ACQUIRE);
        uintptr_t low = index->kept_ranges[i].low;
        if (high != 0 && address - low < high - low)
            return &index->kept[i];
    }
    return NULL;
}

static void keep(struct module_index *index, const struct module *module)
{
    if (__atomic_load_n(&index->kept_count, __ATOMIC_RELAXED) >= KEPT_MAX || module->id == 0 ||
        !objects_kept(&module->object))
        return;
    uint32_t at = __atomic_fetch_add(&index->kept_count, 1, __ATOMIC_RELAXED);
    if (at >= KEPT_MAX)
        return;
    index->kept[at] = *module;
    index->kept_ranges[at].low = module->object.low;
    __atomic_store_n(&index->kept_ranges[at].high, module->object.high, __ATOMIC_RELEASE);
}

bool modules_identify(void **slot, uintptr_t address, struct module *ret)
{
    struct module_index *index = table_get(slot, sizeof(*index));
    const struct module *kept = index != NULL ? find_kept(index, address) : NULL;
    if (kept != NULL) {
        *ret = *kept;
        return true;
    }
    if (!objects_find(address, &ret->object))
        return false;
    ret->id = index != NULL ? lookup(index, &ret->object) : 0;
    if (index != NULL)
        keep(index, ret);
    return true;
}

const struct module *modules_find_other(void **index, struct modules_seen *seen, uintptr_t address)
{
    uint32_t kept = seen->count < MODULES_SEEN ? seen->count : MODULES_SEEN;
    for (uint32_t i = 0; i < kept; i++) {
        const struct module *module = &seen->modules[i];
        if (address - module->object.low < module->object.high - module->object.low) {
            seen->last = i;
            return module;
        }
    }
    struct module found;
    if (!modules_identify(index, address, &found))
        return NULL;
    seen->last = seen->count++ % MODULES_SEEN;
    seen->modules[seen->last] = found;
    return &seen->modules[seen->last];
}
