/* SPDX-License-Identifier: MIT */
/* test_cfi.c - unwind tables that make no sense: the parser is built with sanitizers here and fed
 * with libc's tables, a few bytes of them changed at a time. */
#include "stack/cfi.h"
#include "stack/expression.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <link.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 150000

/* A copy of libc's segment from .eh_frame_hdr on; as everything in it is relative, it describes
 * code that is as far from it as libc's is from the original. */
static struct tables {
    uint8_t *bytes;
    size_t size;
    uintptr_t code_start, code_end;
} tables;

static uint64_t random_state = 0x2545f4914f6cdd1d;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int copy_tables(struct dl_phdr_info *info, size_t size, void *unused)
{
    const ElfW(Phdr) *header = NULL, *code = NULL, *segment = NULL;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        if (phdr->p_type == PT_GNU_EH_FRAME)
            header = phdr;
        if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X))
            code = phdr;
    }
    for (size_t i = 0; header != NULL && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        if (phdr->p_type == PT_LOAD && header->p_vaddr - phdr->p_vaddr < phdr->p_memsz)
            segment = phdr;
    }
    if (strstr(info->dlpi_name, "/libc.so") == NULL || segment == NULL || code == NULL)
        return 0;
    uintptr_t original = info->dlpi_addr + header->p_vaddr;
    tables.size = segment->p_vaddr + segment->p_memsz - header->p_vaddr;
    tables.bytes = malloc(tables.size);
    memcpy(tables.bytes, (const void *)original, tables.size);
    tables.code_start = info->dlpi_addr + code->p_vaddr + (uintptr_t)tables.bytes - original;
    tables.code_end = tables.code_start + code->p_memsz;
    return 1;
}

static struct cfi_image image(void)
{
    return (struct cfi_image){tables.bytes, tables.bytes + tables.size, tables.bytes};
}

static uintptr_t random_pc(void)
{
    return tables.code_start + draw() % (tables.code_end - tables.code_start);
}

/* Registers that point to a stack of sorts, so that rules have something to read. */
static void make_registers(struct registers *registers, struct stack_view *view)
{
    static uint64_t stack[4096];
    memset(registers, 0, sizeof(*registers));
    for (int i = 0; i < ARCH_COLUMNS; i++)
        registers->value[i] = (uint64_t)(uintptr_t)&stack[draw() % 2048];
    registers->known = draw() | 1ULL << ARCH_SP;
    *view = (struct stack_view){.low = (uintptr_t)stack, .high = (uintptr_t)(stack + 4096)};
}

static bool walk_once(uintptr_t pc)
{
    struct cfi_image tables_image = image();
    struct cfi_fde fde;
    struct cfi_rules rules;
    struct registers registers;
    struct stack_view view;
    if (!cfi_find(&tables_image, pc, &fde) || !cfi_rules_at(&fde, pc, &rules))
        return false;
    make_registers(&registers, &view);
    cfi_step(&fde, &rules, tables_image.end, &view, &registers);
    return true;
}

static void test_sound_tables(void **state)
{
    uint32_t described = 0;
    for (int i = 0; i < 20000; i++)
        described += walk_once(random_pc());
    assert_true(described > 19000);
}

static void test_changed_bytes(void **state)
{
    struct change {
        size_t at;
        uint8_t was;
    } changes[4];
    for (int round = 0; round < ROUNDS; round++) {
        struct cfi_image tables_image = image();
        struct cfi_fde fde;
        uintptr_t pc = random_pc();
        size_t target = draw() % tables.size, reach = 64;
        /* Mostly in the entry that will be read, or its common entry, or the header. */
        if (round % 8 < 5 && cfi_find(&tables_image, pc, &fde))
            target = (size_t)((round % 2 ? fde.program.at : fde.common_program.at) - tables.bytes);
        else if (round % 8 < 7)
            target = 0;
        target = target > 24 ? target - 24 : 0;
        for (int i = 0; i < 4; i++) {
            changes[i].at = (target + draw() % reach) % tables.size;
            changes[i].was = tables.bytes[changes[i].at];
            tables.bytes[changes[i].at] = (uint8_t)draw();
        }
        walk_once(pc);
        for (int i = 4; i-- > 0;)
            tables.bytes[changes[i].at] = changes[i].was;
    }
    test_sound_tables(state); /* all was put back */
}

/* Tables that end anywhere. */
static void test_cut_short(void **state)
{
    for (size_t size = 0; size < 4096; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, tables.bytes, size);
        struct cfi_image cut_image = {cut, cut + size, cut};
        struct cfi_fde fde;
        uintptr_t pc = random_pc() + (uintptr_t)cut - (uintptr_t)tables.bytes;
        assert_false(size < 16 && cfi_find(&cut_image, pc, &fde));
        cfi_find(&cut_image, pc, &fde);
        free(cut);
    }
}

/* Without a search table every entry is looked at. */
static void test_no_search_table(void **state)
{
    uint8_t was = tables.bytes[2];
    for (int i = 0; i < 200; i++) {
        struct cfi_image tables_image = image();
        struct cfi_fde by_table, by_scan;
        uintptr_t pc = random_pc();
        tables.bytes[2] = was;
        bool found = cfi_find(&tables_image, pc, &by_table);
        tables.bytes[2] = POINTER_OMITTED;
        assert_int_equal(cfi_find(&tables_image, pc, &by_scan), found);
        if (found)
            assert_ptr_equal(by_table.program.at, by_scan.program.at);
    }
    tables.bytes[2] = was;
}

static void test_random_expressions(void **state)
{
    uint8_t code[32];
    for (int round = 0; round < ROUNDS; round++) {
        struct registers registers;
        struct stack_view view;
        uint64_t result, cfa = draw();
        size_t size = draw() % sizeof(code);
        make_registers(&registers, &view);
        for (size_t i = 0; i < size; i++)
            code[i] = (uint8_t)(draw() % (i % 2 ? 256 : 0x97));
        struct cursor cursor = {code, code + size, false};
        expression_evaluate(cursor, &registers, &view, round % 2 ? &cfa : NULL, &result);
    }
}

static uint64_t evaluate(const uint8_t *code, size_t size)
{
    struct registers registers;
    struct stack_view view;
    uint64_t result = 0;
    make_registers(&registers, &view);
    struct cursor cursor = {code, code + size, false};
    assert_int_equal(expression_evaluate(cursor, &registers, &view, NULL, &result),
                     EXPRESSION_DONE);
    return result;
}

#define EVALUATE(...)                                                                              \
    evaluate((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_expressions(void **state)
{
    assert_int_equal(EVALUATE(0x33, 0x34, 0x1e), 12);                     /* lit3 lit4 mul */
    assert_int_equal(EVALUATE(0x0b, 0xfe, 0xff), (uint64_t)-2);           /* const2s */
    assert_int_equal(EVALUATE(0x0a, 0xfe, 0xff), 0xfffe);                 /* const2u */
    assert_int_equal(EVALUATE(0x11, 0x7f), UINT64_MAX);                   /* consts -1 */
    assert_int_equal(EVALUATE(0x10, 0x80, 0x01), 128);                    /* constu */
    assert_int_equal(EVALUATE(0x31, 0x32, 0x33, 0x17, 0x1c), UINT64_MAX); /* rot: 3 1 2; 1 - 2 */
    assert_int_equal(EVALUATE(0x35, 0x32, 0x1c), 3);                      /* minus */
    assert_int_equal(EVALUATE(0x31, 0x1f, 0x32, 0x1b), 0);                /* -1 / 2, signed */
    assert_int_equal(EVALUATE(0x31, 0x28, 1, 0, 0x06, 0x37), 7);          /* bra over a deref */
    assert_int_equal(EVALUATE(0x31, 0x1f, 0x30, 0x2d), 1);                /* -1 < 0 */
    assert_int_equal(EVALUATE(0x35, 0x32, 0x15, 1, 0x22), 7);             /* pick */
    assert_int_equal(EVALUATE(0x31, 0x08, 63, 0x24, 0x08, 63, 0x26), UINT64_MAX); /* shl, shra */
}

static int prepare(void **state)
{
    dl_iterate_phdr(copy_tables, NULL);
    return tables.bytes != NULL ? 0 : -1;
}

static int release(void **state)
{
    free(tables.bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_tables),       cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_cut_short),          cmocka_unit_test(test_no_search_table),
        cmocka_unit_test(test_random_expressions), cmocka_unit_test(test_expressions),
    };
    return cmocka_run_group_tests(tests, prepare, release);
}
