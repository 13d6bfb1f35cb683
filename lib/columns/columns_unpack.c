/* SPDX-License-Identifier: MIT */
/* columns_unpack.c - from columns back to the chunks of a log, without trusting a byte. */
#include "columns.h"

#include "columns_event.h"
#include "columns_model.h"
#include "columns_stream.h"

#include <stdlib.h>
#include <zstd.h>

struct columns_unpacker {
    ZSTD_DCtx *context;
    struct columns_model model;
    struct columns_sources from;
    uint32_t last_stack; /* of the newest site */
    uint8_t *columns;
    size_t columns_room;
};

bool columns_is(const uint8_t *bytes, size_t size)
{
    uint32_t magic;
    if (size < sizeof(magic))
        return false;
    memcpy(&magic, bytes, sizeof(magic));
    return le32toh(magic) == COLUMNS_MAGIC;
}

struct columns_unpacker *columns_unpacker_create(void)
{
    struct columns_unpacker *unpacker = calloc(1, sizeof(*unpacker));
    if (unpacker == NULL)
        return NULL;
    unpacker->context = ZSTD_createDCtx();
    if (unpacker->context == NULL) {
        columns_unpacker_destroy(unpacker);
        return NULL;
    }
    return unpacker;
}

void columns_unpacker_destroy(struct columns_unpacker *unpacker)
{
    if (unpacker == NULL)
        return;
    ZSTD_freeDCtx(unpacker->context);
    free(unpacker->columns);
    free(unpacker);
}

/* ---- the frame ----------------------------------------------------------------------------- */

static uint32_t word(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

/* Room for `columns` of them together, and behind each the slack. */
static bool make_room(struct columns_unpacker *unpacker, size_t size)
{
    size_t room = size + COLUMNS_COUNT * COLUMNS_BITS_SLACK;
    if (room <= unpacker->columns_room)
        return true;
    free(unpacker->columns);
    unpacker->columns = malloc(room);
    unpacker->columns_room = unpacker->columns != NULL ? room : 0;
    return unpacker->columns != NULL;
}

static int decompress(struct columns_unpacker *unpacker, const uint8_t *packed, size_t packed_size,
                      unsigned columns)
{
    const uint8_t *sizes = packed + COLUMNS_FIXED_SIZE;
    uint8_t *to = unpacker->columns;
    size_t at = COLUMNS_HEADER_SIZE;
    for (unsigned column = 0; column < columns; column++, sizes += 8) {
        size_t compressed = word(sizes), size = word(sizes + 4);
        if (compressed > packed_size - at)
            return 0;
        if (ZSTD_decompressDCtx(unpacker->context, to, size, packed + at, compressed) != size)
            return 0;
        unpacker->from.sources[column] = (struct columns_source){.at = to, .end = to + size};
        memset(to + size, 0, COLUMNS_BITS_SLACK);
        to += size + COLUMNS_BITS_SLACK;
        at += compressed;
    }
    return columns < COLUMNS_COUNT || at == packed_size ? 1 : 0;
}

/* Decompress the first `columns` columns of a frame of `size` bytes. */
static int open_frame(struct columns_unpacker *unpacker, const uint8_t *packed, size_t packed_size,
                      unsigned columns, size_t size)
{
    uint64_t total = 0;
    if (packed_size < COLUMNS_HEADER_SIZE || word(packed) != COLUMNS_MAGIC ||
        word(packed + 4) != COLUMNS_HEADER_SIZE - 8 || word(packed + 12) != COLUMNS_COUNT ||
        size > COLUMNS_FRAME_MAX)
        return 0;
    for (unsigned column = 0; column < COLUMNS_COUNT; column++)
        total += word(packed + COLUMNS_FIXED_SIZE + 8 * column + 4);
    if (total > columns_limit(size))
        return 0;
    unpacker->from = (struct columns_sources){0};
    return make_room(unpacker, (size_t)total) ? decompress(unpacker, packed, packed_size, columns)
                                              : -1;
}

/* ---- sites --------------------------------------------------------------------------------- */

static bool is_call(unsigned call)
{
    return MALLOCTAP_LOG_OP(call) < MALLOCTAP_OPS && call >> 4 == 0;
}

static uint16_t take_new_site(struct columns_unpacker *unpacker)
{
    struct columns_sources *from = &unpacker->from;
    uint64_t distance = columns_take_number(from, COLUMNS_STACK);
    uint64_t stack = columns_place(UINT64_C(8) * unpacker->last_stack, distance) / 8;
    unsigned call = columns_take_byte(from, COLUMNS_CALL);
    if (stack > UINT32_MAX || !is_call(call)) {
        from->damaged = true;
        stack = call = 0;
    }
    unpacker->last_stack = (uint32_t)stack;
    return columns_model_add_site(&unpacker->model, (uint32_t)stack, (uint8_t)call);
}

static struct columns_site *take_site(struct columns_unpacker *unpacker)
{
    struct columns_model *model = &unpacker->model;
    struct columns_sources *from = &unpacker->from;
    uint16_t *followers[COLUMNS_ORDERS];
    for (unsigned order = 0; order < COLUMNS_ORDERS; order++)
        followers[order] = columns_follower(model, order);
    unsigned choice = columns_take_choice(from, COLUMNS_SITE);
    uint64_t number = 0;
    if (choice != COLUMNS_SITE_LISTED) {
        number = *followers[COLUMNS_ORDERS - 1 - choice];
    } else {
        uint64_t listed = columns_take_number(from, COLUMNS_LISTED);
        number = listed != 0 ? listed - 1 : take_new_site(unpacker);
    }
    if (!columns_site_exists(model, number)) {
        from->damaged = true;
        return NULL;
    }
    columns_model_visit(model, (uint16_t)number, followers);
    return &model->sites[number];
}

static uint64_t take_size(struct columns_sources *from, struct columns_site *site)
{
    unsigned choice = columns_take_choice(from, COLUMNS_SIZE);
    if (choice == 0)
        return site->sizes[0];
    uint64_t size = choice == 1 ? site->sizes[1] : columns_take_number(from, COLUMNS_BYTES);
    from->damaged |= choice > COLUMNS_SIZE_OTHER;
    columns_model_note_size(site, size);
    return size;
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* One of the last blocks obtained or freed, of which there were `count`. */
static uint64_t take_aged(struct columns_sources *from, enum columns_column column,
                          const uint64_t *blocks, uint32_t count)
{
    uint64_t age = columns_take_number(from, column);
    if (age == 0 || age > count || age > COLUMNS_BLOCKS) {
        from->damaged = true;
        return 0;
    }
    return blocks[(count - age) % COLUMNS_BLOCKS];
}

static uint64_t take_distant(struct columns_unpacker *unpacker)
{
    return columns_place(unpacker->model.last,
                         columns_take_number(&unpacker->from, COLUMNS_DISTANCE));
}

static uint64_t take_given(struct columns_unpacker *unpacker)
{
    struct columns_model *model = &unpacker->model;
    struct columns_sources *from = &unpacker->from;
    switch ((enum columns_given)columns_take_choice(from, COLUMNS_GIVEN)) {
    case COLUMNS_GIVEN_AGE:
        return take_aged(from, COLUMNS_AGE, model->obtained, model->obtained_count);
    case COLUMNS_GIVEN_DISTANCE:
        return take_distant(unpacker);
    case COLUMNS_GIVEN_WHOLE:
        return columns_take_number(from, COLUMNS_WHOLE);
    default:
        return 0;
    }
}

static uint64_t take_got(struct columns_unpacker *unpacker, unsigned code, uint64_t size)
{
    struct columns_model *model = &unpacker->model;
    struct columns_sources *from = &unpacker->from;
    uint16_t size_class = columns_class(size);
    switch (code) {
    case COLUMNS_GOT_ADJACENT:
        return model->adjacent;
    case COLUMNS_GOT_AGE:
        return take_aged(from, COLUMNS_FREED_AGE, model->freed, model->freed_count);
    case COLUMNS_GOT_DISTANCE:
        return take_distant(unpacker);
    case COLUMNS_GOT_WHOLE:
        return columns_take_number(from, COLUMNS_WHOLE);
    case COLUMNS_GOT_NONE:
        return 0;
    default:
        if (code < model->free_counts[size_class])
            return columns_model_take_free(model, size_class, code);
        from->damaged = true;
        return 0;
    }
}

static void take_allocation(struct columns_unpacker *unpacker, struct columns_event *event)
{
    struct columns_model *model = &unpacker->model;
    if (event->failed)
        return;
    unsigned code = columns_take_byte(&unpacker->from, COLUMNS_GOT);
    if (code == COLUMNS_GOT_SAME) {
        event->address = event->old;
        columns_model_resize(model, event->address, event->size);
        return;
    }
    if (event->old != 0)
        columns_model_free(model, event->old);
    event->address = take_got(unpacker, code, event->size);
    if (event->address != 0)
        columns_model_obtain(model, event->address, event->size);
}

/* ---- events -------------------------------------------------------------------------------- */

static bool take_event(struct columns_unpacker *unpacker, struct columns_event *event)
{
    struct columns_model *model = &unpacker->model;
    struct columns_sources *from = &unpacker->from;
    struct columns_site *site = take_site(unpacker);
    if (site == NULL)
        return false;
    *event = (struct columns_event){.op = MALLOCTAP_LOG_OP(site->call),
                                    .failed = (site->call & MALLOCTAP_LOG_FAILED) != 0,
                                    .stack = site->stack,
                                    .time = columns_take_number(from, COLUMNS_TIME)};
    if (event->op == MALLOCTAP_OP_FREE) {
        if (!event->failed) {
            event->address = take_given(unpacker);
            columns_model_free(model, event->address);
        }
    } else {
        event->size = take_size(from, site);
        if (event->op == MALLOCTAP_OP_REALLOC) {
            event->duration = columns_take_number(from, COLUMNS_DURATION);
            event->old = take_given(unpacker);
        }
        take_allocation(unpacker, event);
    }
    if (event->address != 0)
        model->last = event->address;
    else if (event->old != 0)
        model->last = event->old;
    return !from->damaged;
}

/* Encode events until they are `size` bytes. */
static bool take_events(struct columns_unpacker *unpacker, uint8_t *to, size_t size)
{
    uint8_t one[MALLOCTAP_LOG_EVENT_MAX + COLUMNS_EVENT_SLACK];
    struct columns_base base = {0};
    struct columns_event event;
    for (size_t position = 0, length; position < size; position += length) {
        if (!take_event(unpacker, &event))
            return false;
        if (size - position >= sizeof(one)) {
            length = columns_event_encode(&event, &base, to + position);
        } else { /* behind it is something else */
            length = columns_event_encode(&event, &base, one);
            if (length > size - position)
                return false;
            memcpy(to + position, one, length);
        }
    }
    return true;
}

/* ---- chunks -------------------------------------------------------------------------------- */

static bool take_rest(struct columns_source *rest, uint8_t *to, size_t size)
{
    if ((size_t)(rest->end - rest->at) < size)
        return false;
    memcpy(to, rest->at, size);
    rest->at += size;
    return true;
}

/* All columns were used up to their ends. */
static bool is_at_end(const struct columns_sources *from)
{
    for (unsigned column = 0; column < COLUMNS_COUNT; column++) {
        const struct columns_source *source = &from->sources[column];
        const uint8_t *at = source->at - (column == COLUMNS_BITS ? from->bit_count / 8 : 0);
        if (at != source->end)
            return false;
    }
    return true;
}

static bool take_chunk(struct columns_unpacker *unpacker, unsigned in_columns, bool heads_only,
                       uint8_t *to, uint32_t chunk_size)
{
    struct columns_source *rest = &unpacker->from.sources[COLUMNS_REST];
    struct malloctap_chunk head;
    size_t space = chunk_size - sizeof(head), length = 0;
    if (in_columns > 1 || !take_rest(rest, to, sizeof(head)))
        return false;
    memcpy(&head, to, sizeof(head));
    if (in_columns)
        length = head.committed;
    return length <= space && take_rest(rest, to + sizeof(head) + length, space - length) &&
           (heads_only || take_events(unpacker, to + sizeof(head), length));
}

int columns_unpack(struct columns_unpacker *unpacker, const uint8_t *packed, size_t packed_size,
                   bool heads_only, uint8_t *to, size_t size, uint32_t *chunk_size)
{
    int result = open_frame(unpacker, packed, packed_size, heads_only ? 1 : COLUMNS_COUNT, size);
    if (result != 1)
        return result;
    *chunk_size = word(packed + 8);
    if (*chunk_size <= sizeof(struct malloctap_chunk) || size == 0 || size % *chunk_size != 0)
        return 0;
    struct columns_source *rest = &unpacker->from.sources[COLUMNS_REST];
    const uint8_t *in_columns = rest->at;
    if ((size_t)(rest->end - rest->at) < size / *chunk_size)
        return 0;
    rest->at += size / *chunk_size;
    if (!heads_only)
        columns_model_init(&unpacker->model);
    unpacker->last_stack = 0;
    for (size_t start = 0; start < size; start += *chunk_size) {
        if (!take_chunk(unpacker, *in_columns++, heads_only, to + start, *chunk_size))
            return 0;
    }
    return heads_only || is_at_end(&unpacker->from) ? 1 : 0;
}
