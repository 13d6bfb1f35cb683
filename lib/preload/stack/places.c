/* SPDX-License-Identifier: MIT */
#include "places.h"

#include "depot.h"

#include <string.h>

static void forget_modules(struct places *places, uint64_t slots)
{
    struct stack_memory *memory = places->memory;
    for (uint64_t left = slots; left != 0; left &= left - 1)
        memory->modules[__builtin_ctzll(left) % MEMORY_MODULES] = (struct memory_module){.id = 0};
    memory->kept &= ~slots;
    memset(memory->places, 0, sizeof(memory->places));
    memory_forget_recalled(&memory->recall);
    places->verified &= ~slots;
    places->forgotten = true;
}

/* Modulo 2^64: adding it takes the bias off and puts the id in. */
static uint64_t packing_of(const struct module *module)
{
    return ((uint64_t)module->id << 48) - module->object.bias;
}

static bool verify(struct places *places, uint32_t slot)
{
    const struct memory_module *known = &places->memory->modules[slot];
    uint32_t id = (uint32_t)known->id;
    if (id == 0)
        return false;
    if (modules_lies_at(&places->tables->module_index, id, known->low, known->high)) {
        places->verified |= 1ULL << slot;
        return true;
    }
    forget_modules(places, 1ULL << slot);
    return false;
}

noinline bool places_verify_slowly(struct places *places, uint64_t modules)
{
    for (modules &= ~places->verified; modules != 0; modules &= modules - 1) {
        if (!verify(places, (uint32_t)__builtin_ctzll(modules) % MEMORY_MODULES))
            return false;
    }
    return true;
}

/* Whether an address lies in a module, which is then verified. */
static bool lies_in(struct places *places, uint32_t slot, uintptr_t address)
{
    const struct memory_module *module = &places->memory->modules[slot];
    return address - module->low < module->high - module->low &&
           places_verify(places, 1ULL << slot);
}

/* A slot for a module that was not met before. False: it has no id, or all slots are taken; the
 * next walk then finds them free. */
static bool add_module(struct places *places, const struct module *module, uint32_t *ret)
{
    struct stack_memory *memory = places->memory;
    const struct object *object = &module->object;
    uint32_t slot = 0;
    while (slot < MEMORY_MODULES && memory->modules[slot].id != 0)
        slot++;
    if (slot == MEMORY_MODULES)
        forget_modules(places, NO_MODULE_BIT - 1);
    if (slot == MEMORY_MODULES || module->id == 0)
        return false;
    memory->modules[slot] =
        (struct memory_module){object->low, object->high, packing_of(module), module->id};
    if (objects_kept(object))
        memory->kept |= 1ULL << slot;
    places->verified |= 1ULL << slot;
    *ret = slot;
    return true;
}

static bool find_module(struct places *places, uintptr_t address, uint32_t *ret)
{
    struct module now;
    *ret = places->memory->last_module % MEMORY_MODULES;
    if (lies_in(places, *ret, address))
        return true;
    for (*ret = 0; *ret < MEMORY_MODULES; ++*ret) {
        if (lies_in(places, *ret, address))
            return true;
    }
    return !modules_identify(&places->tables->module_index, address, &now) ||
           add_module(places, &now, ret);
}

static cold bool learn_rule(struct places *places, uintptr_t address, uint32_t id, struct rule *ret)
{
    struct module now;
    if (!modules_identify(&places->tables->module_index, address, &now) || now.id != id)
        return false;
    *ret = rule_find_slowly(places->rules, &now, address);
    return true;
}

static bool lies_between(int16_t words, int16_t cfa)
{
    return words < 0 && words >= -cfa;
}

static uint8_t kind_of(struct rule rule)
{
    bool saves_fp = rule.fp_how == RULE_FP_FROM_CFA;
    bool plain = rule.cfa > 0 && lies_between(rule.ra, rule.cfa) &&
                 (saves_fp ? lies_between(rule.fp, rule.cfa) : rule.fp_how == RULE_FP_SAME);
    if (plain && rule.kind == RULE_CFA_FROM_SP)
        return PLACE_PLAIN_FROM_SP;
    return plain && rule.kind == RULE_CFA_FROM_FP ? PLACE_PLAIN_FROM_FP : PLACE_OTHER;
}

/* An address in no module stays one only until something is loaded there: it has no entry. */
static noinline bool learn_place(struct places *places, uintptr_t address, struct memory_place *ret)
{
    *ret = (struct memory_place){.address = address, .rule = {.kind = RULE_NOT_DESCRIBED}};
    if (!find_module(places, address, &ret->module))
        return false;
    const struct memory_module *module = &places->memory->modules[ret->module];
    uint64_t frame = address + 1 + module->packing;
    ret->spread = depot_hash_spread(frame);
    if (ret->module == NO_MODULE)
        return true;
    places->memory->last_module = ret->module;
    if (!rule_cache_find(places->rules, address + module->packing, &ret->rule) &&
        !learn_rule(places, address, (uint32_t)module->id, &ret->rule))
        return false;
    ret->plain = kind_of(ret->rule);
    *places_entry(places->memory, address) = *ret;
    return true;
}

bool places_find(struct places *places, uintptr_t address, struct memory_place *ret)
{
    const struct memory_place *entry = places_entry(places->memory, address);
    *ret = *entry;
    return (ret->address == address && ret->rule.kind != RULE_NONE &&
            places_verify(places, 1ULL << ret->module % 64)) ||
           learn_place(places, address, ret);
}
