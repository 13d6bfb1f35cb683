/* SPDX-License-Identifier: MIT */
/* renames - names its threads by prctl(), and uses the number of another of prctl()'s operations,
 * PR_SET_SECCOMP, for something else: it does not shut itself in. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

static volatile unsigned sink;

__attribute__((noinline)) static void use(int number)
{
    for (int i = 0; i < 20000; i++) {
        void *block = malloc((size_t)number);
        sink += (unsigned)(block != NULL);
        free(block);
    }
}

__attribute__((noinline)) static void rename_thread(void)
{
    prctl(PR_SET_NAME, "renamed", 0, 0, 0);
}

int main(void)
{
    rename_thread();
    use(PR_SET_SECCOMP);
    printf("%u\n", sink);
    return 0;
}
