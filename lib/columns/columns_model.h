/* SPDX-License-Identifier: MIT */
/*
 * columns_model.h - what the events so far let one expect of the next.
 *
 * It forgets rather than grows: every table has a fixed size, and what two events do not agree on
 * is overwritten. Packing finds out what it knows of an event, unpacking asks for it, and both then
 * tell it what happened. A new model for each frame, so that frames can be read alone.
 */
#ifndef COLUMNS_MODEL_H
#define COLUMNS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLUMNS_ORDERS 3u /* the site is foretold from so many before it, at most */
#define COLUMNS_FOLLOWER_BITS 15u
#define COLUMNS_SITES 65536u /* of a frame, the newest; the number of one has 16 bits */
#define COLUMNS_PLACE_BITS 17u
#define COLUMNS_BLOCKS 65536u /* the last ones obtained, and freed, can be named by their age */
#define COLUMNS_CLASSES 4096u
#define COLUMNS_FREE_BLOCKS 16u
#define COLUMNS_RECENT_SIZES 2u

/* Where calls come from: everything in an event that is the same the next time. */
struct columns_site {
    uint32_t stack;
    uint8_t call;                         /* op, and the bit MALLOCTAP_LOG_FAILED */
    uint64_t sizes[COLUMNS_RECENT_SIZES]; /* the last ones asked for here that were not the same */
};

/* What is known of an address. */
struct columns_place {
    uint64_t address;
    uint32_t number; /* of the obtained blocks, or when it is free of the freed ones */
    uint16_t size_class;
    bool live;
};

struct columns_model {
    struct columns_site sites[COLUMNS_SITES];
    uint32_t site_count; /* ever */
    uint16_t before[COLUMNS_ORDERS];
    uint16_t followers[COLUMNS_ORDERS][1u << COLUMNS_FOLLOWER_BITS];

    struct columns_place places[1u << COLUMNS_PLACE_BITS];
    uint64_t obtained[COLUMNS_BLOCKS];
    uint64_t freed[COLUMNS_BLOCKS];
    uint32_t obtained_count;
    uint32_t freed_count;
    uint64_t last;     /* the address of the event before */
    uint64_t adjacent; /* where the block behind the last one obtained would be */
    uint8_t free_counts[COLUMNS_CLASSES];
    uint64_t free_blocks[COLUMNS_CLASSES][COLUMNS_FREE_BLOCKS]; /* the last one freed comes last */
};

void columns_model_init(struct columns_model *model);

/* ---- sites --------------------------------------------------------------------------------- */

/* Where the follower is noted of the last `order` + 1 sites. */
static inline uint16_t *columns_follower(struct columns_model *model, unsigned order)
{
    uint64_t key = model->before[0];
    if (order >= 1)
        key |= (uint64_t)model->before[1] << 16;
    if (order >= 2)
        key |= (uint64_t)model->before[2] << 32;
    return &model->followers[order]
                            [key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COLUMNS_FOLLOWER_BITS)];
}

/* Add a site and return its number; the oldest one's may be given again. */
uint16_t columns_model_add_site(struct columns_model *model, uint32_t stack, uint8_t call);

/* The sites that can be named are the newest COLUMNS_SITES. */
static inline bool columns_site_exists(const struct columns_model *model, uint64_t number)
{
    return number < model->site_count && number < COLUMNS_SITES;
}

/* The call was from this site. `followers` are those of the moment before, one for each order. */
void columns_model_visit(struct columns_model *model, uint16_t number,
                         uint16_t *const followers[COLUMNS_ORDERS]);

/* A call of the site asked for a size that was not the last one's. */
void columns_model_note_size(struct columns_site *site, uint64_t size);

/* ---- blocks -------------------------------------------------------------------------------- */

static inline struct columns_place *columns_place_of(struct columns_model *model, uint64_t address)
{
    return &model->places[address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COLUMNS_PLACE_BITS)];
}

/* Blocks of one class may take each other's place: glibc's chunks, which most allocators' classes
 * agree with more than they do not. */
static inline uint16_t columns_class(uint64_t size)
{
    uint64_t rounded = size < 24 ? 2 : size / 16 + (size % 16 + 23) / 16;
    return rounded < COLUMNS_CLASSES ? (uint16_t)rounded : COLUMNS_CLASSES - 1;
}

void columns_model_free(struct columns_model *model, uint64_t address);
void columns_model_obtain(struct columns_model *model, uint64_t address, uint64_t size);

/* A block keeps its place and is of another size from now on. */
void columns_model_resize(struct columns_model *model, uint64_t address, uint64_t size);

/* The free block of a class at a rank, 0 for the one freed last; it is free no more. */
uint64_t columns_model_take_free(struct columns_model *model, uint16_t size_class, unsigned rank);

#endif
