/* SPDX-License-Identifier: MIT */
/*
 * waiting_parent - allocates, then waits for a child that does; says when each is so far, without a
 * call to malloc in between. The child begins when it is sent a line.
 */
#include "truth.h"

#include <sys/wait.h>

static void churn(size_t rounds)
{
    for (size_t i = 0; i < rounds; i++)
        counted_free(counted_realloc(counted_malloc(16 + i % 2000), 3000));
}

static void tell(const char *word)
{
    if (write(STDOUT_FILENO, word, strlen(word)) < 0)
        _exit(4);
}

int main(void)
{
    char line[16];
    int status = 1;
    churn(20000);
    pid_t child = fork();
    if (child == 0) {
        if (read(STDIN_FILENO, line, sizeof line) <= 0)
            _exit(5);
        churn(20000);
        exit(0);
    }
    tell("ready\n");
    if (waitpid(child, &status, 0) != child || status != 0)
        return 3;
    tell("done\n");
    return read(STDIN_FILENO, line, sizeof line) < 0;
}
