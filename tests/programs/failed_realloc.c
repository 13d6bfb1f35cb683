/* SPDX-License-Identifier: MIT */
/* failed_realloc - asks for more than there is for two blocks, and frees one of them. */
#include <stdint.h>
#include <stdlib.h>

void *leave_one(void);

__attribute__((noinline)) void *leave_one(void)
{
    static volatile size_t huge = PTRDIFF_MAX;
    void *freed = malloc(123456), *kept = malloc(123456);
    if (realloc(freed, huge) != NULL || realloc(kept, huge) != NULL)
        abort();
    free(freed);
    return kept;
}

int main(void)
{
    static void *volatile kept;
    kept = leave_one();
    return kept == NULL;
}
