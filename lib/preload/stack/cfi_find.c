/* SPDX-License-Identifier: MIT */
/* cfi_find.c - from a pc to its frame description entry. */
#include "cfi.h"

/* Entries looked at in an object that has no search table. */
#define SCAN_MAX 100000u

#define TABLE_ENCODING (POINTER_DATAREL | 0x0b) /* what every linker writes */

static bool in_image(const struct cfi_image *image, uintptr_t address)
{
    return address >= (uintptr_t)image->start && address < (uintptr_t)image->end;
}

/* The entry (common or description) at the cursor, its length consumed; the section's end and
 * whatever makes no sense yield an empty one. */
static struct cursor next_entry(struct cursor *section)
{
    uint64_t length = cursor_unsigned(section, 4);
    if (length == 0xffffffff)
        length = cursor_unsigned(section, 8);
    return cursor_slice(section, length);
}

/* What a common information entry says beside its program. */
struct common {
    struct cfi_fde fde;
    uint8_t pointer_encoding;
    bool augmented; /* descriptions carry a block of augmentation data */
};

/* The augmentation data: one item for each letter of the string. */
static bool parse_augmentation(const char *letters, struct cursor *entry, struct common *common)
{
    if (*letters == '\0')
        return true;
    if (*letters != 'z')
        return false;
    common->augmented = true;
    struct cursor data = cursor_block(entry);
    for (letters++; *letters != '\0'; letters++) {
        switch (*letters) {
        case 'R':
            common->pointer_encoding = cursor_byte(&data);
            break;
        case 'L':
            cursor_byte(&data);
            break;
        case 'P': {
            uint8_t encoding = cursor_byte(&data);
            cursor_pointer(&data, encoding & POINTER_FORMAT, 0);
            break;
        }
        case 'S':
            common->fde.signal_frame = true;
            break;
        case 'B': /* the key return addresses are signed with */
        case 'G': /* tagged stack memory */
            break;
        default:
            return false;
        }
    }
    return !data.failed;
}

static bool parse_common(struct cursor entry, struct common *ret)
{
    *ret = (struct common){.pointer_encoding = 0};
    uint64_t id = cursor_unsigned(&entry, 4);
    uint8_t version = cursor_byte(&entry);
    const char *letters = (const char *)entry.at;
    while (cursor_byte(&entry) != 0)
        ;
    if (entry.failed || id != 0 || (version != 1 && version != 3))
        return false;
    ret->fde.code_align = cursor_uleb(&entry);
    ret->fde.data_align = cursor_sleb(&entry);
    ret->fde.return_column = version == 1 ? cursor_byte(&entry) : cursor_uleb(&entry);
    if (!parse_augmentation(letters, &entry, ret) || ret->fde.return_column >= ARCH_COLUMNS)
        return false;
    ret->fde.common_program = entry;
    return !entry.failed;
}

/* A description entry; false also for a common one. */
static bool parse_fde(const struct cfi_image *image, struct cursor entry, struct cfi_fde *ret)
{
    uintptr_t here = (uintptr_t)entry.at;
    uint64_t back = cursor_unsigned(&entry, 4);
    if (entry.failed || back == 0 || back > here - (uintptr_t)image->start)
        return false;
    struct cursor section = {(const uint8_t *)(here - back), image->end, false};
    struct common common;
    if (!parse_common(next_entry(&section), &common))
        return false;
    uintptr_t data = (uintptr_t)image->eh_frame_hdr;
    uintptr_t low = cursor_pointer(&entry, common.pointer_encoding, data);
    uintptr_t size = cursor_pointer(&entry, common.pointer_encoding & POINTER_FORMAT, 0);
    if (common.augmented)
        cursor_block(&entry);
    if (entry.failed || size > UINTPTR_MAX - low)
        return false;
    *ret = common.fde;
    ret->low = low;
    ret->high = low + size;
    ret->program = entry;
    return true;
}

/* The last row of the sorted table that does not start after `pc`; 0 when there is none. */
static uintptr_t search_table(const struct cursor *table, uintptr_t base, uintptr_t pc)
{
    struct row {
        int32_t start, entry;
    } row;
    size_t low = 0, high = cursor_left(table) / sizeof(row);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        memcpy(&row, table->at + middle * sizeof(row), sizeof(row));
        if (base + (uintptr_t)(intptr_t)row.start <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    memcpy(&row, table->at + (low - 1) * sizeof(row), sizeof(row));
    return base + (uintptr_t)(intptr_t)row.entry;
}

static bool scan(const struct cfi_image *image, uintptr_t eh_frame, uintptr_t pc,
                 struct cfi_fde *ret)
{
    struct cursor section = {(const uint8_t *)eh_frame, image->end, false};
    for (size_t i = 0; i < SCAN_MAX; i++) {
        struct cursor entry = next_entry(&section);
        if (section.failed || cursor_left(&entry) == 0)
            return false;
        if (parse_fde(image, entry, ret) && pc >= ret->low && pc < ret->high)
            return true;
    }
    return false;
}

bool cfi_find(const struct cfi_image *image, uintptr_t pc, struct cfi_fde *ret)
{
    uintptr_t base = (uintptr_t)image->eh_frame_hdr;
    if (!in_image(image, base))
        return false;
    struct cursor header = {image->eh_frame_hdr, image->end, false};
    uint8_t version = cursor_byte(&header);
    uint8_t frame_encoding = cursor_byte(&header);
    uint8_t count_encoding = cursor_byte(&header);
    uint8_t table_encoding = cursor_byte(&header);
    uintptr_t eh_frame = cursor_pointer(&header, frame_encoding, base);
    if (header.failed || version != 1 || !in_image(image, eh_frame))
        return false;
    if (count_encoding == POINTER_OMITTED || table_encoding != TABLE_ENCODING)
        return scan(image, eh_frame, pc, ret);
    uint64_t count = cursor_pointer(&header, count_encoding, base);
    if (header.failed || count > cursor_left(&header) / 8)
        return false;
    struct cursor table = cursor_slice(&header, count * 8);
    uintptr_t entry = search_table(&table, base, pc);
    if (!in_image(image, entry))
        return false;
    struct cursor section = {(const uint8_t *)entry, image->end, false};
    return parse_fde(image, next_entry(&section), ret) && pc >= ret->low && pc < ret->high;
}
