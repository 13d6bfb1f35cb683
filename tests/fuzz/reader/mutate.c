/* SPDX-License-Identifier: MIT */
/*
 * mutate.c - drive a libFuzzer target without libFuzzer.
 *
 *   mutate [SEED [SECONDS]] FILE...    damage copies of the files in random ways until time is up
 *
 * The seed is printed; the same seed and files give the same inputs in the same order. When the
 * target dies, the input that killed it is in malloctap-fuzz.bin.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input current; /* what the target is being given */

static uint64_t random_state;

/* xorshift64*: small, and the same everywhere. */
static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dULL;
}

static size_t random_below(size_t limit)
{
    return limit == 0 ? 0 : random_next() % limit;
}

/* Mostly where something is: a run of zeros is rarely interesting. */
static size_t random_place(const struct input *input)
{
    size_t place = 0;
    for (int try = 0; try < 64; try++) {
        place = random_below(input->size) & ~(size_t)7;
        if (input->size - place >= 8 && memcmp(input->bytes + place, "\0\0\0\0\0\0\0", 8) != 0)
            break;
    }
    return place;
}

static uint64_t random_value(const struct input *input)
{
    static const uint64_t odd[] = {0,    1,         7,          8,         63,
                                   64,   255,       256,        4095,      4096,
                                   4097, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
    switch (random_below(4)) {
    case 0:
        return odd[random_below(sizeof(odd) / sizeof(odd[0]))];
    case 1:
        return random_below(input->size + 1);
    case 2:
        return random_below(input->size / 4096 + 2) * 4096;
    default:
        return random_next();
    }
}

static void mutate_once(struct input *input)
{
    static const size_t widths[] = {1, 2, 4, 8};
    size_t width = widths[random_below(4)];
    size_t place = random_place(input) + random_below(8 / width) * width;
    uint64_t value = random_value(input);
    if (input->size < place + 8)
        return;
    switch (random_below(8)) {
    case 0:
        input->bytes[place] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1: { /* copy a piece over another */
        size_t length = random_below(256), to = random_place(input);
        size_t longest = input->size - (place > to ? place : to);
        memmove(input->bytes + to, input->bytes + place, length < longest ? length : longest);
        break;
    }
    case 2:
        if (random_below(8) == 0)
            input->size = random_below(input->size);
        break;
    default:
        memcpy(input->bytes + place, &value, width);
    }
}

static bool load(const char *path, struct input *ret)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) != 0)
        return false;
    ret->size = (size_t)status.st_size;
    ret->bytes = malloc(ret->size + 1);
    bool loaded = ret->bytes != NULL && read(fd, ret->bytes, ret->size) == status.st_size;
    close(fd);
    return loaded;
}

/* The sanitizers end in abort() (see the meson file), as failed assertions do. */
static void keep_input(int signal_number)
{
    int fd = open("malloctap-fuzz.bin", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && write(fd, current.bytes, current.size) == (ssize_t)current.size)
        close(fd);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    int first = 1;
    uint64_t seed = (uint64_t)time(NULL);
    long seconds = 5;
    if (first < argc && strspn(argv[first], "0123456789") == strlen(argv[first]))
        seed = strtoull(argv[first++], NULL, 10);
    if (first < argc && strspn(argv[first], "0123456789") == strlen(argv[first]))
        seconds = strtol(argv[first++], NULL, 10);
    if (first == argc) {
        fprintf(stderr, "usage: mutate [SEED [SECONDS]] FILE...\n");
        return 2;
    }
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    random_state = seed * 2 + 1;
    signal(SIGABRT, keep_input);
    signal(SIGSEGV, keep_input);
    signal(SIGBUS, keep_input);

    unsigned long inputs = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end; inputs++) {
        const char *path = argv[first + (int)random_below((size_t)(argc - first))];
        if (!load(path, &current)) {
            perror(path);
            return 2;
        }
        for (size_t mutations = random_below(6); mutations > 0; mutations--)
            mutate_once(&current);
        LLVMFuzzerTestOneInput(current.bytes, current.size);
        free(current.bytes);
    }
    printf("%lu inputs\n", inputs);
    return 0;
}
