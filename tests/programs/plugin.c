/* SPDX-License-Identifier: MIT */
/* plugin - a library to load and unload; built several times under other names, with one layout. */
#include <stdlib.h>

void *plugin_make(size_t size);
void plugin_drop(void *block);

/* Named by the build, so that a stack tells which plugin it came from. */
__attribute__((noinline)) void *PLUGIN_FUNCTION(size_t size);

void *PLUGIN_FUNCTION(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}

void *plugin_make(size_t size)
{
    void *volatile block = PLUGIN_FUNCTION(size);
    return block;
}

void plugin_drop(void *block)
{
    free(block);
}
