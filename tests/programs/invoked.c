/* SPDX-License-Identifier: MIT */
/* invoked - prints by which name it was called, as libc has it, and how long its environment is. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    size_t variables = 0;
    while (environ[variables] != NULL)
        variables++;
    printf("%s %s %zu\n", program_invocation_name, program_invocation_short_name, variables);
    return 0;
}
