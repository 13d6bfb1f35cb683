/* SPDX-License-Identifier: MIT */
/* pack.c - pack a recording and compare what the reader makes of it; and unpack it again. */
#include "pack.h"

#include "pack_frames.h"
#include "replacement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

/* How much is read and compared, or unpacked, at a time. */
#define PIECE_SIZE (64u << 10)

static int out_of_memory(const struct replacement *replacement)
{
    return replacement_fail(replacement->error, replacement->path,
                            "out of memory; close other programs");
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Only what nobody writes any more. */
static int check_finished(const struct malloctap_recording *recording,
                          const struct replacement *replacement)
{
    const struct malloctap_header *header = malloctap_recording_header(recording);
    if (header->state == MALLOCTAP_STATE_FINISHED || malloctap_recording_orphaned(recording))
        return 0;
    return replacement_fail(replacement->error, replacement->path,
                            "process %u is still writing it; pack it when that has ended",
                            header->pid);
}

static int write_frames(struct replacement *replacement, struct pack_frames *frames, uint64_t *size)
{
    const uint8_t *bytes;
    size_t part;
    for (*size = 0;; *size += part) {
        switch (pack_frames_next(frames, &bytes, &part)) {
        case PACK_FRAME_READY:
            if (replacement_write(replacement, bytes, part) < 0)
                return -1;
            break;
        case PACK_FRAME_DONE:
            return 0;
        case PACK_FRAME_UNREADABLE:
            return replacement_cannot_read(replacement);
        default:
            return out_of_memory(replacement);
        }
    }
}

static int differs(const struct replacement *replacement)
{
    return replacement_fail(replacement->error, replacement->out,
                            "does not hold what was packed when read back; the recording is kept; "
                            "check the disk");
}

/* Read the packed recording as the views do, and compare it with the original to its last byte. */
static int compare(const struct replacement *replacement)
{
    struct malloctap_recording *packed;
    uint8_t written[PIECE_SIZE], original[PIECE_SIZE];
    uint64_t offset = 0;
    if (malloctap_recording_open(replacement->temporary, &packed, replacement->error) < 0)
        return -1;
    int64_t got;
    int result = 0;
    for (; result == 0; offset += (uint64_t)got) {
        got = malloctap_recording_bytes(packed, offset, written, sizeof written);
        if (got <= 0)
            break;
        if (pread(replacement->in, original, (size_t)got, (off_t)offset) != got ||
            memcmp(written, original, (size_t)got) != 0)
            result = differs(replacement);
    }
    malloctap_recording_close(packed);
    return result == 0 && offset != (uint64_t)replacement->original.st_size ? differs(replacement)
                                                                            : result;
}

static int pack(struct replacement *replacement, const struct malloctap_header *header, int level)
{
    uint64_t size;
    struct pack_frames *frames =
        pack_frames_create(replacement->in, (uint64_t)replacement->original.st_size, header, level);
    if (!frames)
        return out_of_memory(replacement);
    int result = write_frames(replacement, frames, &size);
    pack_frames_destroy(frames);
    return result < 0 || replacement_finish(replacement, size) < 0 || compare(replacement) < 0
               ? -1
               : replacement_name(replacement);
}

static int pack_file(struct replacement *replacement, struct pack_options options)
{
    struct malloctap_recording *recording;
    uint32_t magic;
    if (malloctap_recording_open(replacement->path, &recording, replacement->error) < 0)
        return -1;
    int result = check_finished(recording, replacement);
    if (result == 0)
        result = replacement_open_original(replacement, options.keep, &magic);
    if (result == 0 && magic == ZSTD_MAGICNUMBER)
        result = replacement_fail(replacement->error, replacement->path,
                                  "is packed already; every view reads it as it is");
    if (result == 0)
        result = replacement_create(replacement);
    if (result == 0)
        result = pack(replacement, malloctap_recording_header(recording), options.level);
    malloctap_recording_close(recording);
    return result;
}

/* ---- unpacking ------------------------------------------------------------------------------- */

static bool is_zeros(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* What was never written to takes no space again. */
static int unpack(struct replacement *replacement, const struct malloctap_recording *recording)
{
    uint8_t piece[PIECE_SIZE];
    uint64_t offset = 0;
    int64_t got;
    while ((got = malloctap_recording_bytes(recording, offset, piece, sizeof piece)) > 0) {
        int result = is_zeros(piece, (size_t)got)
                         ? replacement_skip(replacement, (size_t)got)
                         : replacement_write(replacement, piece, (size_t)got);
        if (result < 0)
            return -1;
        offset += (uint64_t)got;
    }
    if (got < 0)
        return malloctap_recording_check(recording, replacement->error);
    return replacement_finish(replacement, offset) < 0 ? -1 : replacement_name(replacement);
}

static int unpack_file(struct replacement *replacement, struct pack_options options)
{
    struct malloctap_recording *recording;
    uint32_t magic;
    if (malloctap_recording_open(replacement->path, &recording, replacement->error) < 0)
        return -1;
    int result = replacement_open_original(replacement, options.keep, &magic);
    if (result == 0 && magic != ZSTD_MAGICNUMBER)
        result = replacement_fail(replacement->error, replacement->path,
                                  "is not packed; every view reads it as it is");
    if (result == 0)
        result = replacement_create(replacement);
    if (result == 0)
        result = unpack(replacement, recording);
    malloctap_recording_close(recording);
    return result;
}

/* ---- either ---------------------------------------------------------------------------------- */

typedef int change(struct replacement *, struct pack_options);

/* Write `out`, which is freed unless it becomes part of *ret. */
static int replace(const char *path, char *out, struct pack_options options, change *change_file,
                   struct pack_result *ret, struct malloctap_error *error)
{
    struct replacement replacement;
    struct stat written;
    replacement_init(&replacement, path, out, error);
    int result = change_file(&replacement, options);
    if (result == 0 && fstat(replacement.to, &written) != 0)
        result = replacement_fail(error, out, "cannot be examined (%s)", strerror(errno));
    if (result == 0 && !options.keep && unlink(path) != 0)
        result = replacement_fail(error, path, "was replaced, but cannot be removed (%s)",
                                  strerror(errno));
    replacement_deinit(&replacement);
    if (result < 0) {
        free(out);
        return -1;
    }
    *ret = (struct pack_result){.path = out,
                                .before = (uint64_t)replacement.original.st_blocks * 512,
                                .after = (uint64_t)written.st_blocks * 512};
    return 0;
}

int pack_recording(const char *path, struct pack_options options, struct pack_result *ret,
                   struct malloctap_error *error)
{
    char *out = options.out ? strdup(options.out) : NULL;
    if (options.out ? !out : asprintf(&out, "%s" PACK_SUFFIX, path) < 0)
        return replacement_fail(error, path, "out of memory; close other programs");
    return replace(path, out, options, pack_file, ret, error);
}

int unpack_recording(const char *path, struct pack_options options, struct pack_result *ret,
                     struct malloctap_error *error)
{
    size_t length = strlen(path), suffix = strlen(PACK_SUFFIX);
    if (!options.out && (length <= suffix || strcmp(path + length - suffix, PACK_SUFFIX) != 0))
        return replacement_fail(error, path,
                                "does not end in " PACK_SUFFIX "; name what it unpacks to with -o");
    char *out = options.out ? strdup(options.out) : strndup(path, length - suffix);
    if (!out)
        return replacement_fail(error, path, "out of memory; close other programs");
    return replace(path, out, options, unpack_file, ret, error);
}
