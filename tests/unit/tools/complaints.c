/* SPDX-License-Identifier: MIT */
#include "complaints.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char text[65536];
static int before;
static FILE *caught;

void complaints_catch(void)
{
    fflush(stderr);
    before = dup(STDERR_FILENO);
    caught = tmpfile();
    if (before < 0 || !caught || dup2(fileno(caught), STDERR_FILENO) < 0)
        abort();
}

const char *complaints_caught(void)
{
    fflush(stderr);
    rewind(caught);
    text[fread(text, 1, sizeof text - 1, caught)] = '\0';
    fclose(caught);
    if (dup2(before, STDERR_FILENO) < 0)
        abort();
    close(before);
    return text;
}
