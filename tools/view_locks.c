/* SPDX-License-Identifier: MIT */
#include "view_locks.h"

#include "analyze_memory.h"

#include <stdlib.h>

static const char *const kind_names[VIEW_LOCKS_KINDS] = {"list", "cache", "oversize"};

/* ---- sums --------------------------------------------------------------------------------- */

static void add(struct malloctap_lock_row *sum, const struct malloctap_lock_row *row)
{
    sum->kind = row->kind;
    sum->caches += row->caches;
    sum->acquisitions += row->acquisitions;
    sum->contended += row->contended;
    sum->wait_ns += row->wait_ns;
    if (sum->wait_max_ns < row->wait_max_ns)
        sum->wait_max_ns = row->wait_max_ns;
    sum->held_bytes += row->held_bytes;
    sum->buffers += row->buffers;
    sum->in_use += row->in_use;
    sum->in_use_bytes += row->in_use_bytes;
    sum->requested_bytes += row->requested_bytes;
}

/* Rows of a list stand together. */
static struct view_locks_list *list_of(struct view_locks *locks, uint32_t list, size_t *capacity)
{
    if (locks->list_count == 0 || locks->lists[locks->list_count - 1].list != list) {
        locks->lists = memory_grow(locks->lists, locks->list_count, capacity, sizeof *locks->lists);
        locks->lists[locks->list_count++] = (struct view_locks_list){.list = list};
    }
    return &locks->lists[locks->list_count - 1];
}

void view_locks_create(const struct malloctap_recording *recording, struct view_locks *ret)
{
    struct malloctap_lock_row row;
    size_t capacity = 0;
    *ret = (struct view_locks){0};
    for (uint64_t position = 0; malloctap_recording_next_lock(recording, &position, &row);) {
        if (row.kind < MALLOCTAP_LOCK_PARENT || row.kind > MALLOCTAP_LOCK_OVERSIZE)
            continue;
        ret->any = true;
        add(&ret->kinds[row.kind - MALLOCTAP_LOCK_PARENT], &row);
        if (row.kind == MALLOCTAP_LOCK_PARENT)
            add(&list_of(ret, row.list, &capacity)->parent, &row);
        if (row.kind == MALLOCTAP_LOCK_CACHE) {
            add(&list_of(ret, row.list, &capacity)->caches, &row);
            if (row.buffer_size != 0)
                add(&ret->sizes[31 - __builtin_clz(row.buffer_size)], &row);
        }
    }
}

void view_locks_destroy(struct view_locks *locks)
{
    free(locks->lists);
}

/* ---- text --------------------------------------------------------------------------------- */

static void count_cell(struct emit_table *table, uint64_t count)
{
    emit_table_cell(table, emit_count((double)count).text);
}

static void size_cell(struct emit_table *table, uint64_t bytes)
{
    emit_table_cell(table, emit_size((double)bytes).text);
}

static void lock_cells(struct emit_table *table, const struct malloctap_lock_row *row)
{
    count_cell(table, row->acquisitions);
    count_cell(table, row->contended);
    emit_table_cell(table, emit_duration((double)row->wait_ns).text);
    emit_table_cell(table, emit_duration((double)row->wait_max_ns).text);
}

void view_locks_print_kinds(const struct view_locks *locks, FILE *out)
{
    static const struct emit_column columns[] = {
        {"lock", .left = true},
        {"acquired"},
        {"contended"},
        {"waited"},
        {"longest"},
        {"holds"},
        {"in use"},
        {"requested"},
    };
    if (!locks->any)
        return;
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < VIEW_LOCKS_KINDS; i++) {
        emit_table_cell(table, kind_names[i]);
        lock_cells(table, &locks->kinds[i]);
        size_cell(table, locks->kinds[i].held_bytes);
        size_cell(table, locks->kinds[i].in_use_bytes);
        size_cell(table, locks->kinds[i].requested_bytes);
    }
    fputs(
        "\nLocks of the allocator; waits are exact, acquisitions too once the program has ended by "
        "itself:\n",
        out);
    emit_table_print(table, out);
    emit_table_destroy(table);
}

static uint64_t free_of(const struct malloctap_lock_row *row)
{
    return row->buffers > row->in_use ? row->buffers - row->in_use : 0;
}

static void memory_cells(struct emit_table *table, const struct malloctap_lock_row *row)
{
    count_cell(table, row->in_use);
    count_cell(table, free_of(row));
    size_cell(table, row->held_bytes);
    size_cell(table, row->in_use_bytes);
    size_cell(table, row->requested_bytes);
}

void view_locks_print_memory(const struct view_locks *locks, FILE *out)
{
    static const struct emit_column columns[] = {
        {"buffers of"}, {"caches"}, {"in use"}, {"free"}, {"holds"}, {"rounded up"}, {"requested"},
    };
    const struct malloctap_lock_row *oversize = &locks->kinds[MALLOCTAP_LOCK_OVERSIZE - 1];
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    bool any = oversize->buffers != 0;
    for (int i = 0; i < VIEW_LOCKS_SIZES; i++) {
        const struct malloctap_lock_row *row = &locks->sizes[i];
        if (!row->caches)
            continue;
        size_cell(table, UINT64_C(1) << i);
        count_cell(table, row->caches);
        memory_cells(table, row);
        any = true;
    }
    if (oversize->buffers) {
        emit_table_cell(table, "oversize");
        emit_table_cell(table, "-");
        memory_cells(table, oversize);
    }
    if (any) {
        fputs(
            "\nMemory of the allocator: caches, buffers, and bytes held, in use as rounded up, and "
            "of these asked for:\n",
            out);
        emit_table_print(table, out);
    }
    emit_table_destroy(table);
}

void view_locks_print_lists(const struct view_locks *locks, FILE *out)
{
    static const struct emit_column columns[] = {
        {"list"},      {"acquired"},  {"contended"}, {"waited"},  {"longest"},
        {"by caches"}, {"contended"}, {"waited"},    {"longest"},
    };
    if (locks->list_count == 0)
        return;
    struct emit_table *table = emit_table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < locks->list_count; i++) {
        count_cell(table, locks->lists[i].list);
        lock_cells(table, &locks->lists[i].parent);
        lock_cells(table, &locks->lists[i].caches);
    }
    fputs(
        "\nLocks of the allocator by list, of which each thread uses one: the list's own, then those "
        "of its caches:\n\n",
        out);
    emit_table_print(table, out);
    emit_table_destroy(table);
}

/* ---- JSON --------------------------------------------------------------------------------- */

#define ADD_COUNT(object, name, count) json_object_object_add(object, name, emit_json_count(count))

static void add_lock(json_object *object, const struct malloctap_lock_row *row)
{
    ADD_COUNT(object, "acquisitions", row->acquisitions);
    ADD_COUNT(object, "contended", row->contended);
    ADD_COUNT(object, "wait_ns", row->wait_ns);
    ADD_COUNT(object, "wait_max_ns", row->wait_max_ns);
}

static void add_bytes(json_object *object, const struct malloctap_lock_row *row)
{
    ADD_COUNT(object, "held_bytes", row->held_bytes);
    ADD_COUNT(object, "in_use_bytes", row->in_use_bytes);
    ADD_COUNT(object, "requested_bytes", row->requested_bytes);
}

json_object *view_locks_kinds_json(const struct view_locks *locks)
{
    json_object *array = json_object_new_array();
    for (int i = 0; locks->any && i < VIEW_LOCKS_KINDS; i++) {
        json_object *object = json_object_new_object();
        json_object_object_add(object, "kind", emit_json_text(kind_names[i]));
        add_lock(object, &locks->kinds[i]);
        add_bytes(object, &locks->kinds[i]);
        json_object_array_add(array, object);
    }
    return array;
}

/* buffer_size 0: oversize. */
static void add_memory(json_object *array, uint64_t buffer_size,
                       const struct malloctap_lock_row *row)
{
    json_object *object = json_object_new_object();
    ADD_COUNT(object, "buffer_size", buffer_size);
    ADD_COUNT(object, "caches", row->caches);
    ADD_COUNT(object, "in_use", row->in_use);
    ADD_COUNT(object, "free", free_of(row));
    add_bytes(object, row);
    json_object_array_add(array, object);
}

json_object *view_locks_memory_json(const struct view_locks *locks)
{
    json_object *array = json_object_new_array();
    for (int i = 0; i < VIEW_LOCKS_SIZES; i++)
        if (locks->sizes[i].caches)
            add_memory(array, UINT64_C(1) << i, &locks->sizes[i]);
    if (locks->kinds[MALLOCTAP_LOCK_OVERSIZE - 1].buffers)
        add_memory(array, 0, &locks->kinds[MALLOCTAP_LOCK_OVERSIZE - 1]);
    return array;
}

json_object *view_locks_lists_json(const struct view_locks *locks)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < locks->list_count; i++) {
        json_object *object = json_object_new_object(), *caches = json_object_new_object();
        ADD_COUNT(object, "list", locks->lists[i].list);
        add_lock(object, &locks->lists[i].parent);
        add_lock(caches, &locks->lists[i].caches);
        json_object_object_add(object, "caches", caches);
        json_object_array_add(array, object);
    }
    return array;
}
