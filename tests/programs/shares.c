/* SPDX-License-Identifier: MIT */
/*
 * shares - three functions with known shares of the calls, and another order by bytes.
 *
 *   shares [CALLS]        (a multiple of 10; 2 000 000 unless told)
 *
 *   function         calls   size   by bytes
 *   frequent_small    70 %     24   second
 *   regular_medium    20 %     56   third
 *   rare_large        10 %   1900   first
 *
 * Which comes next is drawn at random from a fixed seed, so no pattern can fall into step with the
 * sampling, while the numbers of calls are exact.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL = 24, MEDIUM = 56, LARGE = 1900 };

static unsigned long calls[3];

#define ALLOCATING_FUNCTION(name, index, size)                                                     \
    __attribute__((noinline)) static void name(void)                                               \
    {                                                                                              \
        calls[index]++;                                                                            \
        void *volatile block = malloc(size);                                                       \
        free(block);                                                                               \
    }
ALLOCATING_FUNCTION(frequent_small, 0, SMALL)
ALLOCATING_FUNCTION(regular_medium, 1, MEDIUM)
ALLOCATING_FUNCTION(rare_large, 2, LARGE)

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv)
{
    unsigned long total = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000000;
    unsigned long left[3] = {total / 10 * 7, total / 10 * 2, total / 10};
    uint64_t state = 0x9e3779b97f4a7c15;

    /* Draw from what is left, as from an urn: random order, exact numbers. */
    for (unsigned long all = left[0] + left[1] + left[2]; all > 0; all--) {
        unsigned long draw = next_random(&state) % all;
        if (draw < left[0]) {
            left[0]--;
            frequent_small();
        } else if (draw < left[0] + left[1]) {
            left[1]--;
            regular_medium();
        } else {
            left[2]--;
            rare_large();
        }
    }
    printf("{\"functions\":{\"frequent_small\":{\"calls\":%lu,\"bytes\":%lu},"
           "\"regular_medium\":{\"calls\":%lu,\"bytes\":%lu},"
           "\"rare_large\":{\"calls\":%lu,\"bytes\":%lu}}}\n",
           calls[0], calls[0] * SMALL, calls[1], calls[1] * MEDIUM, calls[2], calls[2] * LARGE);
    return 0;
}
