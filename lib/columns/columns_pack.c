/* SPDX-License-Identifier: MIT */
/* columns_pack.c - from the chunks of a log to columns. */
#include "columns.h"

#include "columns_event.h"
#include "columns_model.h"
#include "columns_stream.h"

#include <stdlib.h>
#include <zstd.h>

static_assert(COLUMNS_PACK_SLACK >= COLUMNS_EVENT_SLACK, "the last event is decoded");

/* Where the packer, and only it, looks for the number of a site. */
#define LOOKUP_BITS 16u

struct columns_packer {
    ZSTD_CCtx *context;
    struct columns_model model;
    struct columns_sinks to;
    uint32_t last_stack;                /* of the newest site */
    uint16_t lookup[1u << LOOKUP_BITS]; /* by a site's hash its number, or that of another */
    uint8_t *columns;                   /* one behind the other, with `column_room` bytes each */
    size_t column_room;
    uint8_t *packed;
    size_t packed_room;
};

struct columns_packer *columns_packer_create(int level)
{
    struct columns_packer *packer = calloc(1, sizeof(*packer));
    if (packer == NULL)
        return NULL;
    packer->context = ZSTD_createCCtx();
    if (packer->context == NULL) {
        columns_packer_destroy(packer);
        return NULL;
    }
    ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(packer->context, ZSTD_c_checksumFlag, 1);
    return packer;
}

void columns_packer_destroy(struct columns_packer *packer)
{
    if (packer == NULL)
        return;
    ZSTD_freeCCtx(packer->context);
    free(packer->columns);
    free(packer->packed);
    free(packer);
}

static uint8_t *column_start(const struct columns_packer *packer, unsigned column)
{
    return packer->columns + column * packer->column_room;
}

static size_t column_size(const struct columns_packer *packer, unsigned column)
{
    return (size_t)(packer->to.sinks[column].at - column_start(packer, column));
}

/* ---- sites --------------------------------------------------------------------------------- */

static bool is_site(const struct columns_model *model, uint16_t number, uint32_t stack,
                    uint8_t call)
{
    return columns_site_exists(model, number) && model->sites[number].stack == stack &&
           model->sites[number].call == call;
}

/* Name a site that does not follow as before. */
static uint16_t list_site(struct columns_packer *packer, uint32_t stack, uint8_t call)
{
    struct columns_model *model = &packer->model;
    uint64_t key = (uint64_t)stack << 8 | call, distance;
    uint16_t *found = &packer->lookup[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - LOOKUP_BITS)];
    columns_put_choice(&packer->to, COLUMNS_SITE, COLUMNS_SITE_LISTED);
    if (is_site(model, *found, stack, call)) {
        columns_put_number(&packer->to, COLUMNS_LISTED, *found + 1u);
        return *found;
    }
    columns_put_number(&packer->to, COLUMNS_LISTED, 0);
    columns_distance(UINT64_C(8) * stack, UINT64_C(8) * packer->last_stack, &distance);
    columns_put_number(&packer->to, COLUMNS_STACK, distance);
    columns_put_byte(&packer->to, COLUMNS_CALL, call);
    packer->last_stack = stack;
    *found = columns_model_add_site(model, stack, call);
    return *found;
}

static struct columns_site *put_site(struct columns_packer *packer,
                                     const struct columns_event *event)
{
    struct columns_model *model = &packer->model;
    uint8_t call = (uint8_t)(event->op | (event->failed ? MALLOCTAP_LOG_FAILED : 0));
    uint16_t *followers[COLUMNS_ORDERS], number = 0;
    unsigned choice = 0;
    for (unsigned order = 0; order < COLUMNS_ORDERS; order++)
        followers[order] = columns_follower(model, order);
    for (; choice < COLUMNS_ORDERS; choice++) {
        number = *followers[COLUMNS_ORDERS - 1 - choice];
        if (is_site(model, number, event->stack, call))
            break;
    }
    if (choice < COLUMNS_ORDERS)
        columns_put_choice(&packer->to, COLUMNS_SITE, choice);
    else
        number = list_site(packer, event->stack, call);
    columns_model_visit(model, number, followers);
    return &model->sites[number];
}

static void put_size(struct columns_sinks *to, struct columns_site *site, uint64_t size)
{
    if (size == site->sizes[0]) {
        columns_put_choice(to, COLUMNS_SIZE, 0);
        return;
    }
    if (size == site->sizes[1]) {
        columns_put_choice(to, COLUMNS_SIZE, 1);
    } else {
        columns_put_choice(to, COLUMNS_SIZE, COLUMNS_SIZE_OTHER);
        columns_put_number(to, COLUMNS_BYTES, size);
    }
    columns_model_note_size(site, size);
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* How old the thing of this number is, if that can be said. */
static bool age_of(uint32_t number, uint32_t count, uint32_t *ret)
{
    *ret = count - number;
    return *ret <= COLUMNS_BLOCKS;
}

static void put_given(struct columns_packer *packer, uint64_t address)
{
    struct columns_model *model = &packer->model;
    const struct columns_place *place = columns_place_of(model, address);
    uint64_t distance;
    uint32_t age;
    if (address == 0) {
        columns_put_choice(&packer->to, COLUMNS_GIVEN, COLUMNS_GIVEN_NONE);
    } else if (place->live && place->address == address &&
               age_of(place->number, model->obtained_count, &age)) {
        columns_put_choice(&packer->to, COLUMNS_GIVEN, COLUMNS_GIVEN_AGE);
        columns_put_number(&packer->to, COLUMNS_AGE, age);
    } else if (columns_distance(address, model->last, &distance)) {
        columns_put_choice(&packer->to, COLUMNS_GIVEN, COLUMNS_GIVEN_DISTANCE);
        columns_put_number(&packer->to, COLUMNS_DISTANCE, distance);
    } else {
        columns_put_choice(&packer->to, COLUMNS_GIVEN, COLUMNS_GIVEN_WHOLE);
        columns_put_number(&packer->to, COLUMNS_WHOLE, address);
    }
}

/* Is it a free block of its class? */
static bool rank_of(const struct columns_model *model, uint64_t address, uint16_t size_class,
                    unsigned *ret)
{
    const uint64_t *blocks = model->free_blocks[size_class];
    unsigned count = model->free_counts[size_class];
    for (*ret = 0; *ret < count; ++*ret) {
        if (blocks[count - 1 - *ret] == address)
            return true;
    }
    return false;
}

static void put_got(struct columns_packer *packer, uint64_t address, uint64_t size)
{
    struct columns_model *model = &packer->model;
    const struct columns_place *place = columns_place_of(model, address);
    uint16_t size_class = columns_class(size);
    uint64_t distance;
    uint32_t age;
    unsigned rank;
    if (address == 0) {
        columns_put_byte(&packer->to, COLUMNS_GOT, COLUMNS_GOT_NONE);
    } else if (rank_of(model, address, size_class, &rank)) {
        columns_put_byte(&packer->to, COLUMNS_GOT, rank);
        columns_model_take_free(model, size_class, rank);
    } else if (address == model->adjacent) {
        columns_put_byte(&packer->to, COLUMNS_GOT, COLUMNS_GOT_ADJACENT);
    } else if (place->address == address && !place->live &&
               age_of(place->number, model->freed_count, &age)) {
        columns_put_byte(&packer->to, COLUMNS_GOT, COLUMNS_GOT_AGE);
        columns_put_number(&packer->to, COLUMNS_FREED_AGE, age);
    } else if (columns_distance(address, model->last, &distance)) {
        columns_put_byte(&packer->to, COLUMNS_GOT, COLUMNS_GOT_DISTANCE);
        columns_put_number(&packer->to, COLUMNS_DISTANCE, distance);
    } else {
        columns_put_byte(&packer->to, COLUMNS_GOT, COLUMNS_GOT_WHOLE);
        columns_put_number(&packer->to, COLUMNS_WHOLE, address);
    }
    if (address != 0)
        columns_model_obtain(model, address, size);
}

static void put_allocation(struct columns_packer *packer, const struct columns_event *event)
{
    struct columns_model *model = &packer->model;
    if (event->failed)
        return;
    if (event->old != 0 && event->address == event->old) {
        columns_put_byte(&packer->to, COLUMNS_GOT, COLUMNS_GOT_SAME);
        columns_model_resize(model, event->address, event->size);
        return;
    }
    if (event->old != 0)
        columns_model_free(model, event->old);
    put_got(packer, event->address, event->size);
}

/* ---- events -------------------------------------------------------------------------------- */

static void put_event(struct columns_packer *packer, const struct columns_event *event)
{
    struct columns_model *model = &packer->model;
    struct columns_site *site = put_site(packer, event);
    columns_put_number(&packer->to, COLUMNS_TIME, event->time);
    if (event->op == MALLOCTAP_OP_FREE) {
        if (!event->failed) {
            put_given(packer, event->address);
            columns_model_free(model, event->address);
        }
    } else {
        put_size(&packer->to, site, event->size);
        if (event->op == MALLOCTAP_OP_REALLOC) {
            columns_put_number(&packer->to, COLUMNS_DURATION, event->duration);
            put_given(packer, event->old);
        }
        put_allocation(packer, event);
    }
    if (event->address != 0)
        model->last = event->address;
    else if (event->old != 0)
        model->last = event->old;
}

/* Would unpacking give back these bytes? Only what is encoded as the tap does it. */
static bool is_canonical(const uint8_t *events, size_t size)
{
    struct columns_base decoded = {0}, encoded = {0};
    struct columns_event event;
    uint8_t again[MALLOCTAP_LOG_EVENT_MAX + COLUMNS_EVENT_SLACK];
    for (size_t position = 0; position < size;) {
        size_t length = columns_event_decode(events + position, size - position, &decoded, &event);
        if (length == 0 || columns_event_encode(&event, &encoded, again) != length ||
            memcmp(again, events + position, length) != 0)
            return false;
        position += length;
    }
    return true;
}

/* False: they take more room than there is. To all other columns an event adds less than it is
 * long. */
static bool put_events(struct columns_packer *packer, const uint8_t *events, size_t size)
{
    struct columns_base base = {0};
    struct columns_event event;
    for (size_t position = 0; position < size;) {
        if (packer->column_room - column_size(packer, COLUMNS_BITS) < COLUMNS_EVENT_SLACK)
            return false;
        position += columns_event_decode(events + position, size - position, &base, &event);
        put_event(packer, &event);
    }
    return true;
}

/* ---- chunks -------------------------------------------------------------------------------- */

static void put_rest(struct columns_packer *packer, const uint8_t *bytes, size_t size)
{
    struct columns_sink *rest = &packer->to.sinks[COLUMNS_REST];
    memcpy(rest->at, bytes, size);
    rest->at += size;
}

/* Bytes of events in a chunk that can be put in columns. */
static size_t events_size(const uint8_t *chunk, uint32_t chunk_size)
{
    struct malloctap_chunk head;
    memcpy(&head, chunk, sizeof(head));
    return head.sequence != 0 && head.content == MALLOCTAP_CHUNK_LOG &&
                   head.committed <= chunk_size - sizeof(head) &&
                   is_canonical(chunk + sizeof(head), head.committed)
               ? head.committed
               : 0;
}

/* False: nothing of it can be in columns. */
static bool put_chunks(struct columns_packer *packer, const uint8_t *chunks, size_t size,
                       uint32_t chunk_size)
{
    bool any = false;
    uint8_t *in_columns = packer->to.sinks[COLUMNS_REST].at;
    packer->to.sinks[COLUMNS_REST].at += size / chunk_size;
    for (size_t start = 0; start < size; start += chunk_size) {
        const uint8_t *chunk = chunks + start, *events = chunk + sizeof(struct malloctap_chunk);
        size_t length = events_size(chunk, chunk_size);
        put_rest(packer, chunk, sizeof(struct malloctap_chunk));
        put_rest(packer, events + length, chunk_size - sizeof(struct malloctap_chunk) - length);
        if (!put_events(packer, events, length))
            return false;
        *in_columns++ = length != 0;
        any |= length != 0;
    }
    return any;
}

/* ---- frames -------------------------------------------------------------------------------- */

static bool start(struct columns_packer *packer, size_t size)
{
    /* Pages that are not written to are only reserved. */
    size_t room = 2 * size;
    if (room > packer->column_room) {
        free(packer->columns);
        packer->columns = malloc(room * COLUMNS_COUNT);
        packer->column_room = packer->columns != NULL ? room : 0;
        free(packer->packed);
        packer->packed_room = COLUMNS_HEADER_SIZE + ZSTD_compressBound(columns_limit(size)) +
                              COLUMNS_COUNT * ZSTD_compressBound(0);
        packer->packed = malloc(packer->packed_room);
    }
    packer->to = (struct columns_sinks){0};
    for (unsigned column = 0; column < COLUMNS_COUNT && packer->columns != NULL; column++)
        packer->to.sinks[column].at = column_start(packer, column);
    columns_model_init(&packer->model);
    packer->last_stack = 0;
    return packer->columns != NULL && packer->packed != NULL;
}

static void finish_bytes(struct columns_packer *packer)
{
    for (unsigned column = 0; column < COLUMNS_COUNT; column++) {
        if (packer->to.sinks[column].choice_bits != 0)
            columns_put_byte(&packer->to, column, packer->to.sinks[column].choices);
    }
    if (packer->to.bit_count != 0)
        columns_put_byte(&packer->to, COLUMNS_BITS, (unsigned)packer->to.bits);
}

static void put_word(uint8_t *to, size_t value)
{
    uint32_t word = htole32((uint32_t)value);
    memcpy(to, &word, sizeof(word));
}

static size_t compress(struct columns_packer *packer, uint32_t chunk_size)
{
    uint8_t *sizes = packer->packed + COLUMNS_FIXED_SIZE;
    size_t at = COLUMNS_HEADER_SIZE;
    put_word(packer->packed, COLUMNS_MAGIC);
    put_word(packer->packed + 4, COLUMNS_HEADER_SIZE - 8);
    put_word(packer->packed + 8, chunk_size);
    put_word(packer->packed + 12, COLUMNS_COUNT);
    for (unsigned column = 0; column < COLUMNS_COUNT; column++, sizes += 8) {
        size_t size = column_size(packer, column);
        size_t compressed =
            ZSTD_compress2(packer->context, packer->packed + at, packer->packed_room - at,
                           column_start(packer, column), size);
        if (ZSTD_isError(compressed))
            return 0;
        put_word(sizes, compressed);
        put_word(sizes + 4, size);
        at += compressed;
    }
    return at;
}

size_t columns_pack(struct columns_packer *packer, const uint8_t *chunks, size_t size,
                    uint32_t chunk_size, const uint8_t **ret)
{
    if (chunk_size <= sizeof(struct malloctap_chunk) || size == 0 || size % chunk_size != 0 ||
        size > COLUMNS_FRAME_MAX || !start(packer, size) ||
        !put_chunks(packer, chunks, size, chunk_size))
        return 0;
    finish_bytes(packer);
    size_t total = 0;
    for (unsigned column = 0; column < COLUMNS_COUNT; column++)
        total += column_size(packer, column);
    *ret = packer->packed;
    return total <= columns_limit(size) ? compress(packer, chunk_size) : 0;
}
