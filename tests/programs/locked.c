/* SPDX-License-Identifier: MIT */
/*
 * locked - a program that locks what it has mapped into memory, and could shut itself in as well:
 * says whether that was much more than a small program maps.
 */
#include "truth.h"

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { ROUNDS = 1000, MUCH_KIB = 1 << 20 };

static long locked_kib(void)
{
    long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmLck: %ld", &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kib;
}

int main(int argc, char **argv)
{
    if (argc > 1 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0)
        return 3;
    if (mlockall(MCL_CURRENT) != 0)
        return 77; /* not possible here */
    bool much = locked_kib() >= MUCH_KIB;
    munlockall();
    for (size_t i = 0; i < ROUNDS; i++)
        counted_free(counted_malloc(16 + i % 3000));
    printf("{\"malloc\":%lu,\"much\":%s}\n", truth.malloc, much ? "true" : "false");
    return 0;
}
