/* SPDX-License-Identifier: MIT */
/* Chunks come back from columns to the last bit, whatever they hold; damage is not taken for data.
 */
#include "../../support/columns_frame.h"
#include "builder_log.h"

#include <columns.h>
#include <columns_model.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CHUNK_SIZE = 4096, CHUNKS_MAX = COLUMNS_FRAME_MAX / CHUNK_SIZE, LIVE = 500 };

/* ---- chunks ---------------------------------------------------------------------------------- */

static uint8_t chunks[COLUMNS_FRAME_MAX + CHUNK_SIZE + COLUMNS_PACK_SLACK];
static struct builder_log_base base;

static uint64_t random_state;

/* xorshift64*: the same everywhere. */
static uint64_t random_bits(unsigned bits)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return bits == 0 ? 0 : random_state * 0x2545f4914f6cdd1dULL >> (64 - bits);
}

static struct malloctap_chunk *chunk_at(size_t index)
{
    return (struct malloctap_chunk *)(chunks + index * CHUNK_SIZE);
}

static void begin(void)
{
    random_state = 4711;
    memset(chunks, 0, sizeof(chunks));
}

static void open_chunk(size_t index)
{
    base = (struct builder_log_base){0};
    *chunk_at(index) = (struct malloctap_chunk){.state = MALLOCTAP_CHUNK_SEALED,
                                                .sequence = index + 1,
                                                .thread = index % 3,
                                                .content = MALLOCTAP_CHUNK_LOG};
}

/* False: the chunk is full. */
static bool add_call(size_t index, const struct recording_builder_call *call)
{
    uint8_t bytes[MALLOCTAP_LOG_EVENT_MAX];
    struct malloctap_chunk *chunk = chunk_at(index);
    struct builder_log_base before = base;
    size_t length = builder_log_encode(call, &base, bytes);
    if (length > CHUNK_SIZE - sizeof(*chunk) - chunk->committed) {
        base = before;
        return false;
    }
    memcpy((uint8_t *)(chunk + 1) + chunk->committed, bytes, length);
    chunk->committed += (uint32_t)length;
    chunk->records++;
    return true;
}

/* A program that allocates and frees as programs do, every block from one of a few places. */
static size_t add_program(size_t count)
{
    static uint64_t live[LIVE], next = 0x5500000000;
    size_t calls = 0;
    for (size_t index = 0; index < count; index++) {
        open_chunk(index);
        for (bool room = true; room; calls++) {
            size_t turn = calls % LIVE;
            struct recording_builder_call call = {.stack = 100 + 11 * (uint32_t)(turn % 7),
                                                  .ticks = base.ticks + 20 + random_bits(4)};
            if (live[turn] != 0) {
                call.op = MALLOCTAP_OP_FREE;
                call.address = live[turn];
                room = add_call(index, &call);
                live[turn] = room ? 0 : live[turn];
                continue;
            }
            call.op = MALLOCTAP_OP_MALLOC;
            call.size = 8 + 40 * (turn % 7);
            call.address = next;
            room = add_call(index, &call);
            live[turn] = room ? call.address : 0;
            next += room ? 16 + call.size / 16 * 16 + 16 : 0;
        }
    }
    return calls;
}

static uint64_t random_address(void)
{
    static uint64_t recent[64];
    static unsigned count;
    uint64_t *place = &recent[random_bits(6)];
    if (random_bits(1))
        *place = random_bits(3) == 0   ? 1 + random_bits(63)
                 : random_bits(3) == 0 ? 0x7f0000000001 + random_bits(20)
                                       : 0x5500000000 + 16 * random_bits(12);
    count++;
    return *place != 0 ? *place : 16 * count;
}

static struct recording_builder_call random_call(void)
{
    struct recording_builder_call call = {
        .op = (enum malloctap_op)(random_bits(16) % MALLOCTAP_OPS),
        .stack = (uint32_t)random_bits(random_bits(3) ? 4 : 32),
        .ticks = base.ticks + random_bits((unsigned)random_bits(6)),
        .failed = random_bits(4) == 0};
    call.address = call.failed ? 0 : random_address();
    if (call.op != MALLOCTAP_OP_FREE)
        call.size = random_bits(random_bits(2) ? 5 : (unsigned)random_bits(6));
    if (call.op == MALLOCTAP_OP_REALLOC) {
        call.old = random_bits(2) == 0 ? 0 : random_address();
        call.duration = random_bits((unsigned)random_bits(6));
        if (random_bits(2) == 0)
            call.address = call.failed ? 0 : call.old;
        if (call.address == 0 && !call.failed)
            call.size = 0;
    }
    return call;
}

static void add_noise(size_t count)
{
    for (size_t index = 0; index < count; index++) {
        struct recording_builder_call call;
        open_chunk(index);
        do {
            call = random_call();
        } while (add_call(index, &call));
    }
}

/* ---- packing --------------------------------------------------------------------------------- */

static struct columns_packer *packer;
static struct columns_unpacker *unpacker;
static uint8_t unpacked[COLUMNS_FRAME_MAX];

static int create(void **state)
{
    packer = columns_packer_create(1);
    unpacker = columns_unpacker_create();
    return packer != NULL && unpacker != NULL ? 0 : -1;
}

static int destroy(void **state)
{
    columns_packer_destroy(packer);
    columns_unpacker_destroy(unpacker);
    return 0;
}

static int unpack(const uint8_t *packed, size_t packed_size, size_t size)
{
    uint32_t chunk_size;
    uint8_t *copy = malloc(packed_size); /* so that a sanitizer sees what is read behind it */
    memcpy(copy, packed, packed_size);
    int result = columns_unpack(unpacker, copy, packed_size, false, unpacked, size, &chunk_size);
    free(copy);
    assert_true(result >= 0);
    assert_true(result == 0 || chunk_size == CHUNK_SIZE);
    return result;
}

/* Pack, unpack and compare. Returns the packed size. */
static size_t expect_back(size_t count)
{
    const uint8_t *packed;
    size_t size = columns_pack(packer, chunks, count * CHUNK_SIZE, CHUNK_SIZE, &packed);
    assert_true(size > 0);
    assert_true(columns_is(packed, size));
    memset(unpacked, 0xee, sizeof(unpacked));
    assert_int_equal(unpack(packed, size, count * CHUNK_SIZE), 1);
    assert_int_equal(memcmp(chunks, unpacked, count * CHUNK_SIZE), 0);
    return size;
}

static void test_program(void **state)
{
    begin();
    size_t calls = add_program(200);
    assert_true(expect_back(200) < calls + calls / 4);
}

static void test_noise(void **state)
{
    for (size_t count = 1; count <= 256; count *= 4) {
        begin();
        random_state += count;
        add_noise(count);
        expect_back(count);
    }
}

/* More sites and blocks than the model can name. */
static void test_more_than_is_remembered(void **state)
{
    uint32_t calls = 0;
    begin();
    for (size_t index = 0; index < CHUNKS_MAX; index++) {
        struct recording_builder_call call;
        open_chunk(index);
        do {
            uint32_t age = calls / 3 % 2 ? COLUMNS_BLOCKS - 1 + calls % 3 : 10;
            call = (struct recording_builder_call){
                .op = calls % 3 == 2 ? MALLOCTAP_OP_FREE : MALLOCTAP_OP_MALLOC,
                .stack = 1 + calls * 7 % 100000,
                .ticks = base.ticks,
                .address =
                    UINT64_C(16) * (calls % 3 == 2 && calls > 3 * age ? calls - age : calls + 1)};
            call.size = call.op == MALLOCTAP_OP_FREE ? 0 : 10;
            calls++;
        } while (add_call(index, &call));
    }
    assert_true(calls > 2 * COLUMNS_SITES);
    expect_back(CHUNKS_MAX);
}

static void test_heads_only(void **state)
{
    const uint8_t *packed;
    uint32_t chunk_size;
    begin();
    add_program(20);
    size_t size = columns_pack(packer, chunks, 20 * CHUNK_SIZE, CHUNK_SIZE, &packed);
    assert_int_equal(
        columns_unpack(unpacker, packed, size, true, unpacked, 20 * CHUNK_SIZE, &chunk_size), 1);
    assert_int_equal(chunk_size, CHUNK_SIZE);
    for (size_t i = 0; i < 20 * CHUNK_SIZE; i += CHUNK_SIZE)
        assert_memory_equal(chunks + i, unpacked + i, sizeof(struct malloctap_chunk));
}

/* What is not a log, or cannot be told from its events, comes back too. */
static void test_other_chunks(void **state)
{
    static const uint8_t sized_free[] = {4, 0x20, 9}; /* which no column is for */
    static const uint8_t longer_than_needed[] = {0x20, 0x20, 1, 0,
                                                 5};      /* a time of 1 in two bytes */
    static const uint8_t unused_bits[] = {2, 0, 0x41, 4}; /* of a realloc of address 16 */
    begin();
    add_program(10);
    chunk_at(1)->content = MALLOCTAP_CHUNK_RECORDS;
    chunk_at(2)->sequence = 0;
    chunk_at(3)->committed = CHUNK_SIZE;
    chunk_at(4)->committed -= 1;
    memcpy(chunk_at(5) + 1, longer_than_needed, sizeof(longer_than_needed));
    chunk_at(6)->content = 7;
    chunk_at(7)->committed = 0; /* of which something was left behind */
    memcpy(chunk_at(8) + 1, sized_free, sizeof(sized_free));
    chunk_at(8)->committed = sizeof(sized_free);
    memcpy(chunk_at(9) + 1, unused_bits, sizeof(unused_bits));
    chunk_at(9)->committed = sizeof(unused_bits);
    expect_back(10);

    const uint8_t *packed;
    size_t size = columns_pack(packer, chunks, 10 * CHUNK_SIZE, CHUNK_SIZE, &packed);
    struct columns_frame frame;
    assert_true(columns_frame_split(packed, size, &frame));
    static const uint8_t in_columns[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(frame.columns[COLUMNS_REST].bytes, in_columns, sizeof(in_columns));
    columns_frame_deinit(&frame);
}

static void test_nothing_to_pack(void **state)
{
    const uint8_t *packed;
    begin();
    assert_int_equal(columns_pack(packer, chunks, CHUNK_SIZE, CHUNK_SIZE, &packed), 0);
    add_program(2);
    assert_int_equal(columns_pack(packer, chunks, 0, CHUNK_SIZE, &packed), 0);
    assert_int_equal(columns_pack(packer, chunks, 2 * CHUNK_SIZE - 8, CHUNK_SIZE, &packed), 0);
    assert_int_equal(columns_pack(packer, chunks, 2 * CHUNK_SIZE, 64, &packed), 0);
    assert_int_equal(
        columns_pack(packer, chunks, COLUMNS_FRAME_MAX + CHUNK_SIZE, CHUNK_SIZE, &packed), 0);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void test_damaged_bytes(void **state)
{
    const uint8_t *packed;
    begin();
    add_noise(2);
    size_t size = columns_pack(packer, chunks, 2 * CHUNK_SIZE, CHUNK_SIZE, &packed);
    uint8_t *copy = malloc(size);
    memcpy(copy, packed, size);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(unpack(copy, cut, 2 * CHUNK_SIZE), 0);
    for (size_t i = 0; i < size; i++) {
        copy[i] ^= (uint8_t)(1 << i % 8);
        int result = unpack(copy, size, 2 * CHUNK_SIZE);
        copy[i] ^= (uint8_t)(1 << i % 8);
        assert_true(result == 0 || memcmp(unpacked, chunks, 2 * CHUNK_SIZE) == 0);
    }
    assert_int_equal(unpack(copy, size, CHUNK_SIZE), 0);
    assert_int_equal(unpack(copy, size, 3 * CHUNK_SIZE), 0);
    assert_int_equal(unpack(copy, size, COLUMNS_FRAME_MAX + CHUNK_SIZE), 0);
    assert_int_equal(unpack(copy, size, 2 * CHUNK_SIZE), 1);
    free(copy);
}

static int unpack_frame(const struct columns_frame *frame, size_t size)
{
    size_t packed_size;
    uint8_t *packed = columns_frame_join(frame, &packed_size);
    int result = unpack(packed, packed_size, size);
    free(packed);
    return result;
}

/* A byte too few or too many of any column. */
static void test_damaged_lengths(void **state)
{
    const uint8_t *packed;
    struct columns_frame frame;
    begin();
    add_noise(4);
    size_t size = columns_pack(packer, chunks, 4 * CHUNK_SIZE, CHUNK_SIZE, &packed);
    assert_true(columns_frame_split(packed, size, &frame));
    for (unsigned i = 0; i < COLUMNS_COUNT; i++) {
        assert_true(frame.columns[i].size > 0);
        frame.columns[i].bytes[frame.columns[i].size] = 0;
        frame.columns[i].size++;
        assert_int_equal(unpack_frame(&frame, 4 * CHUNK_SIZE), 0);
        frame.columns[i].size -= 2;
        assert_int_equal(unpack_frame(&frame, 4 * CHUNK_SIZE), 0);
        frame.columns[i].size++;
    }
    assert_int_equal(unpack_frame(&frame, 4 * CHUNK_SIZE), 1);
    columns_frame_deinit(&frame);
}

/* First bytes of columns that no packer writes. */
static void test_damaged_columns(void **state)
{
    static const struct {
        enum columns_column column;
        uint8_t value;
    } damages[] = {
        {COLUMNS_REST, 2},      /* neither in columns nor not */
        {COLUMNS_SITE, 0},      /* it follows none */
        {COLUMNS_LISTED, 1},    /* the first is not there yet */
        {COLUMNS_CALL, 5},      /* no operation */
        {COLUMNS_CALL, 0x10},   /* */
        {COLUMNS_STACK, 3},     /* below 0 */
        {COLUMNS_TIME, 253},    /* no number */
        {COLUMNS_SIZE, 3},      /* no choice */
        {COLUMNS_AGE, 0},       /* of nothing */
        {COLUMNS_AGE, 120},     /* older than any */
        {COLUMNS_FREED_AGE, 0}, /* of nothing */
        {COLUMNS_GOT, 15},      /* so many free ones there are not */
        {COLUMNS_GOT, 22},      /* nothing */
        {COLUMNS_GOT, 255},     /* */
    };
    const uint8_t *packed;
    struct columns_frame frame;
    begin();
    add_noise(1);
    size_t size = columns_pack(packer, chunks, CHUNK_SIZE, CHUNK_SIZE, &packed);
    assert_true(columns_frame_split(packed, size, &frame));
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        uint8_t *byte = frame.columns[damages[i].column].bytes, before = *byte;
        *byte = damages[i].value;
        assert_int_equal(unpack_frame(&frame, CHUNK_SIZE), 0);
        *byte = before;
    }
    uint8_t *committed =
        frame.columns[COLUMNS_REST].bytes + 1 + offsetof(struct malloctap_chunk, committed);
    committed[3] ^= 0x80;
    assert_int_equal(unpack_frame(&frame, CHUNK_SIZE), 0);
    committed[3] ^= 0x80;
    committed[0] ^= 1; /* the events do not end there */
    assert_int_equal(unpack_frame(&frame, CHUNK_SIZE), 0);
    committed[0] ^= 1;
    assert_int_equal(unpack_frame(&frame, CHUNK_SIZE), 1);
    columns_frame_deinit(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_more_than_is_remembered),
        cmocka_unit_test(test_heads_only),
        cmocka_unit_test(test_other_chunks),
        cmocka_unit_test(test_nothing_to_pack),
        cmocka_unit_test(test_damaged_bytes),
        cmocka_unit_test(test_damaged_lengths),
        cmocka_unit_test(test_damaged_columns),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
