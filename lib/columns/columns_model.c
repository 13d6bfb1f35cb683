/* SPDX-License-Identifier: MIT */
#include "columns_model.h"

#include <string.h>

void columns_model_init(struct columns_model *model)
{
    /* The rest is read only as far as these say that it was written. */
    model->site_count = model->obtained_count = model->freed_count = 0;
    model->last = model->adjacent = 0;
    memset(model->before, 0, sizeof(model->before));
    memset(model->followers, 0, sizeof(model->followers));
    memset(model->places, 0, sizeof(model->places));
    memset(model->free_counts, 0, sizeof(model->free_counts));
}

/* ---- sites --------------------------------------------------------------------------------- */

uint16_t columns_model_add_site(struct columns_model *model, uint32_t stack, uint8_t call)
{
    uint16_t number = (uint16_t)(model->site_count++ % COLUMNS_SITES);
    model->sites[number] = (struct columns_site){.stack = stack, .call = call};
    return number;
}

void columns_model_visit(struct columns_model *model, uint16_t number,
                         uint16_t *const followers[COLUMNS_ORDERS])
{
    for (unsigned order = 0; order < COLUMNS_ORDERS; order++)
        *followers[order] = number;
    model->before[2] = model->before[1];
    model->before[1] = model->before[0];
    model->before[0] = number;
}

void columns_model_note_size(struct columns_site *site, uint64_t size)
{
    site->sizes[1] = site->sizes[0];
    site->sizes[0] = size;
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* Of too many the oldest is forgotten. */
static void add_free(struct columns_model *model, uint16_t size_class, uint64_t address)
{
    uint64_t *blocks = model->free_blocks[size_class];
    unsigned count = model->free_counts[size_class];
    if (count == COLUMNS_FREE_BLOCKS)
        memmove(blocks, blocks + 1, --count * sizeof(*blocks));
    blocks[count] = address;
    model->free_counts[size_class] = (uint8_t)(count + 1);
}

uint64_t columns_model_take_free(struct columns_model *model, uint16_t size_class, unsigned rank)
{
    uint64_t *blocks = model->free_blocks[size_class];
    unsigned place = model->free_counts[size_class] - 1u - rank;
    uint64_t address = blocks[place];
    memmove(blocks + place, blocks + place + 1, rank * sizeof(*blocks));
    model->free_counts[size_class]--;
    return address;
}

void columns_model_free(struct columns_model *model, uint64_t address)
{
    struct columns_place *place = columns_place_of(model, address);
    bool known = place->address == address && place->live;
    if (known)
        add_free(model, place->size_class, address);
    *place = (struct columns_place){.address = address, .number = model->freed_count};
    model->freed[model->freed_count++ % COLUMNS_BLOCKS] = address;
}

void columns_model_obtain(struct columns_model *model, uint64_t address, uint64_t size)
{
    uint16_t size_class = columns_class(size);
    *columns_place_of(model, address) = (struct columns_place){.address = address,
                                                               .number = model->obtained_count,
                                                               .size_class = size_class,
                                                               .live = true};
    model->obtained[model->obtained_count++ % COLUMNS_BLOCKS] = address;
    model->adjacent = address + UINT64_C(16) * size_class;
}

void columns_model_resize(struct columns_model *model, uint64_t address, uint64_t size)
{
    struct columns_place *place = columns_place_of(model, address);
    if (place->address == address && place->live)
        place->size_class = columns_class(size);
}
