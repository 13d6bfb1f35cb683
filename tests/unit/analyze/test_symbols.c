/* SPDX-License-Identifier: MIT */
/*
 * The library orchard is called for real, to learn return addresses in it; the recording that names
 * them is synthetic, so that the same addresses can be looked up in the library, in a stripped copy
 * and in one whose debug information is beside it.
 */
#include "orchard.h"
#include "recording_builder.h"
#include "symbols.h"

#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- where orchard is loaded ----------------------------------------------------------------- */

struct loaded {
    uint64_t bias;
    uint64_t start;
    uint64_t end;
    const uint8_t *build_id;
    uint32_t build_id_size;
};
static struct loaded orchard;

static void find_build_id(const struct dl_phdr_info *info, const ElfW(Phdr) * header)
{
    const char *at = (const char *)(info->dlpi_addr + header->p_vaddr);
    for (const char *end = at + header->p_memsz; at < end;) {
        const ElfW(Nhdr) *note = (const void *)at;
        const char *name = at + sizeof *note, *bytes = name + ((note->n_namesz + 3) & ~3u);
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(name, "GNU", 4)) {
            orchard.build_id = (const uint8_t *)bytes;
            orchard.build_id_size = note->n_descsz;
        }
        at = bytes + ((note->n_descsz + 3) & ~3u);
    }
}

static int find_orchard(struct dl_phdr_info *info, size_t size, void *data)
{
    if (!strstr(info->dlpi_name, "orchard"))
        return 0;
    orchard.bias = info->dlpi_addr;
    orchard.start = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD)
            orchard.end = info->dlpi_addr + header->p_vaddr + header->p_memsz;
        if (header->p_type == PT_NOTE)
            find_build_id(info, header);
    }
    return 1;
}

static int group_setup(void **state)
{
    dl_iterate_phdr(find_orchard, NULL);
    return orchard.build_id ? 0 : -1;
}

/* ---- return addresses ------------------------------------------------------------------------ */

static uint64_t called_from; /* in orchard's own numbering */
static jmp_buf after_last;

static void remember(void)
{
    called_from =
        (uint64_t)__builtin_extract_return_addr(__builtin_return_address(0)) - orchard.bias;
}

static void remember_and_leave(void)
{
    called_from =
        (uint64_t)__builtin_extract_return_addr(__builtin_return_address(0)) - orchard.bias;
    longjmp(after_last, 1);
}

static uint64_t address_in(void (*function)(orchard_probe *))
{
    function(remember);
    return called_from;
}

/* ---- a recording that names a module --------------------------------------------------------- */

struct fixture {
    struct recording_builder *builder;
    struct malloctap_recording *recording;
    struct symbols *symbols;
    uint32_t module;
    char path[64];
};

static struct malloctap_module *begin(struct fixture *fixture, const char *module_path)
{
    *fixture = (struct fixture){.builder = recording_builder_create()};
    fixture->module = recording_builder_add_module(fixture->builder, module_path, orchard.start,
                                                   orchard.end, orchard.bias);
    struct malloctap_module *module = recording_builder_module(fixture->builder, fixture->module);
    memcpy(module->build_id, orchard.build_id, orchard.build_id_size);
    module->build_id_size = orchard.build_id_size;
    return module;
}

static void open_symbols(struct fixture *fixture)
{
    struct malloctap_error error = {{0}};
    snprintf(fixture->path, sizeof fixture->path, "/tmp/test_symbols.%d.mtap", getpid());
    assert_int_equal(recording_builder_write(fixture->builder, fixture->path), 0);
    if (malloctap_recording_open(fixture->path, &fixture->recording, &error) < 0)
        fail_msg("%s", error.text);
    fixture->symbols = symbols_create(fixture->recording);
}

static void end(struct fixture *fixture)
{
    symbols_destroy(fixture->symbols);
    malloctap_recording_close(fixture->recording);
    recording_builder_destroy(fixture->builder);
    unlink(fixture->path);
}

static const struct symbol_frame *look_up(struct fixture *fixture, uint64_t address, size_t *count)
{
    return symbols_lookup(fixture->symbols, recording_builder_frame(fixture->module, address),
                          count);
}

static void assert_function(const struct symbol_frame *frame, const char *function)
{
    assert_non_null(frame->function);
    assert_string_equal(frame->function, function);
}

static void assert_place(const struct symbol_frame *frame, const char *function, uint32_t line)
{
    assert_function(frame, function);
    assert_non_null(frame->file);
    assert_non_null(strstr(frame->file, "orchard.c"));
    assert_int_equal(frame->line, line);
}

static void assert_note(struct fixture *fixture, const char *words)
{
    const char *const *notes;
    assert_int_equal(symbols_notes(fixture->symbols, &notes), 1);
    if (!strstr(notes[0], words))
        fail_msg("note is: %s", notes[0]);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* What every copy with debug information, wherever that lies, must know. */
static void assert_everything_known(const char *module_path)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, module_path);
    open_symbols(&fixture);

    const struct symbol_frame *frames = look_up(&fixture, address_in(orchard_plain), &count);
    assert_int_equal(count, 1);
    assert_place(&frames[0], "orchard_plain", ORCHARD_PLAIN_LINE);
    assert_string_equal(frames[0].module, module_path);
    assert_int_equal(frames[0].offset, called_from);
    assert_false(frames[0].inlined);

    frames = look_up(&fixture, address_in(orchard_through_inlined), &count);
    assert_int_equal(count, 3);
    assert_place(&frames[0], "inlined_inner", ORCHARD_INNER_LINE);
    assert_place(&frames[1], "inlined_outer", ORCHARD_OUTER_LINE);
    assert_place(&frames[2], "orchard_through_inlined", ORCHARD_THROUGH_LINE);
    assert_true(frames[0].inlined && frames[1].inlined && !frames[2].inlined);

    frames = look_up(&fixture, address_in(orchard_through_static), &count);
    assert_place(&frames[0], "hidden_function", ORCHARD_STATIC_LINE);

    frames = look_up(&fixture, address_in(orchard_cxx), &count);
    assert_function(&frames[0], "orchard::Tree::grow");
    frames = look_up(&fixture, address_in(orchard_rust), &count);
    assert_function(&frames[0], "orchard::tree::prune");
    frames = look_up(&fixture, address_in(orchard_old_rust), &count);
    assert_function(&frames[0], "orchard::tree::graft");

    const char *const *notes;
    assert_int_equal(symbols_notes(fixture.symbols, &notes), 0);
    end(&fixture);
}

static void with_debug_information(void **state)
{
    assert_everything_known(ORCHARD);
}

static void with_debug_information_beside_it(void **state)
{
    assert_everything_known(ORCHARD_LINKED);
}

static void stripped(void **state)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, ORCHARD_STRIPPED);
    open_symbols(&fixture);
    const struct symbol_frame *frames = look_up(&fixture, address_in(orchard_plain), &count);
    assert_int_equal(count, 1);
    assert_function(&frames[0], "orchard_plain");
    assert_null(frames[0].file);

    /* An exported neighbour must not lend its name to what was stripped. */
    frames = look_up(&fixture, address_in(orchard_through_static), &count);
    assert_int_equal(count, 1);
    assert_null(frames[0].function);
    assert_int_equal(frames[0].offset, called_from);
    end(&fixture);
}

static void call_at_the_end_of_a_function(void **state)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, ORCHARD);
    open_symbols(&fixture);
    if (setjmp(after_last) == 0)
        orchard_last(remember_and_leave);
    const struct symbol_frame *frames = look_up(&fixture, called_from, &count);
    assert_place(&frames[0], "orchard_last", ORCHARD_LAST_LINE);
    end(&fixture);
}

static void replaced_object(void **state)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, ORCHARD)->build_id[0] ^= 1;
    open_symbols(&fixture);
    look_up(&fixture, address_in(orchard_cxx), &count);
    const struct symbol_frame *frames = look_up(&fixture, address_in(orchard_plain), &count);
    assert_null(frames[0].function);
    assert_string_equal(frames[0].module, ORCHARD);
    assert_note(&fixture, "has changed since the recording"); /* once, not once a frame */
    end(&fixture);
}

/* Without a build-id to compare, a file written after the recording is not the one loaded. */
static void object_without_build_id(void **state)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, ORCHARD_ANONYMOUS)->build_id_size = 0;
    recording_builder_header(fixture.builder)->start_realtime_ns = 4000000000ULL * 1000000000;
    open_symbols(&fixture);
    const struct symbol_frame *frames = look_up(&fixture, address_in(orchard_plain), &count);
    assert_function(&frames[0], "orchard_plain");
    end(&fixture);

    begin(&fixture, ORCHARD_ANONYMOUS)->build_id_size = 0;
    open_symbols(&fixture);
    frames = look_up(&fixture, address_in(orchard_plain), &count);
    assert_null(frames[0].function);
    assert_note(&fixture, "has changed since the recording");
    end(&fixture);
}

static void deleted_object(void **state)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, "/nonexistent/liborchard.so");
    open_symbols(&fixture);
    const struct symbol_frame *frames = look_up(&fixture, 0x1234, &count);
    assert_null(frames[0].function);
    assert_int_equal(frames[0].offset, 0x1234);
    assert_note(&fixture, "is no longer there");
    end(&fixture);
}

static void not_an_object(void **state)
{
    struct fixture fixture;
    char pipe[64];
    size_t count;
    snprintf(pipe, sizeof pipe, "/tmp/test_symbols.%d.pipe", getpid());
    assert_int_equal(mkfifo(pipe, 0600), 0);
    begin(&fixture, pipe);
    open_symbols(&fixture);
    look_up(&fixture, 0x1234, &count); /* must not wait for somebody to write */
    assert_note(&fixture, "is not a regular file");
    end(&fixture);
    unlink(pipe);
}

static void no_object_at_all(void **state)
{
    struct fixture fixture;
    size_t count;
    begin(&fixture, "[vdso]");
    open_symbols(&fixture);
    const struct symbol_frame *frames = look_up(&fixture, 0x987, &count);
    assert_int_equal(count, 1);
    assert_string_equal(frames[0].module, "[vdso]");

    frames = symbols_lookup(fixture.symbols, recording_builder_frame(0, 0x7f0012345678), &count);
    assert_null(frames[0].module);
    assert_int_equal(frames[0].offset, 0x7f0012345678);

    frames = symbols_lookup(fixture.symbols, recording_builder_frame(99, 0x10), &count);
    assert_non_null(frames[0].module); /* never described: an offset all the same, no address */
    const char *const *notes;
    assert_int_equal(symbols_notes(fixture.symbols, &notes), 0);
    end(&fixture);
}

/* Names are compared by pointer: two modules of one file must share them. */
static void loaded_twice(void **state)
{
    struct fixture fixture;
    size_t count;
    struct malloctap_module first = *begin(&fixture, ORCHARD);
    uint32_t again = recording_builder_add_module(fixture.builder, ORCHARD, orchard.start + 4096,
                                                  orchard.end + 4096, orchard.bias + 4096);
    struct malloctap_module *second = recording_builder_module(fixture.builder, again);
    memcpy(second->build_id, first.build_id, sizeof first.build_id);
    second->build_id_size = first.build_id_size;
    open_symbols(&fixture);
    uint64_t address = address_in(orchard_plain);
    assert_ptr_equal(
        look_up(&fixture, address, &count),
        symbols_lookup(fixture.symbols, recording_builder_frame(again, address), &count));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_debug_information),
        cmocka_unit_test(with_debug_information_beside_it),
        cmocka_unit_test(stripped),
        cmocka_unit_test(call_at_the_end_of_a_function),
        cmocka_unit_test(replaced_object),
        cmocka_unit_test(object_without_build_id),
        cmocka_unit_test(deleted_object),
        cmocka_unit_test(not_an_object),
        cmocka_unit_test(no_object_at_all),
        cmocka_unit_test(loaded_twice),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
