/* SPDX-License-Identifier: MIT */
/*
 * operator_plugins - a C program opens libraries that each bring operators of their own, and takes
 * blocks from one while others come and go.
 *
 *   operator_plugins FIRST.so SECOND.so CPP.so CPP-WITH-LIBRARY-INSIDE.so
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS = 100 };

struct plugin {
    void *library;
    void *(*make)(size_t);
    void (*drop)(void *);
    void *blocks[BLOCKS];
};

static void plugin_open(struct plugin *plugin, const char *path)
{
    plugin->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->library == NULL)
        return;
    *(void **)&plugin->make = dlsym(plugin->library, "plugin_make");
    *(void **)&plugin->drop = dlsym(plugin->library, "plugin_drop");
}

static void blocks_make(struct plugin *plugin)
{
    for (size_t i = 0; i < BLOCKS; i++)
        plugin->blocks[i] = memset(plugin->make(100 + i), 1, 100 + i);
}

static void blocks_drop(struct plugin *plugin)
{
    for (size_t i = 0; i < BLOCKS; i++)
        plugin->drop(plugin->blocks[i]);
}

int main(int argc, char **argv)
{
    enum { FIRST, SECOND, CPP, INSIDE, PLUGINS };
    struct plugin plugins[PLUGINS];
    if (argc != 1 + PLUGINS)
        return 2;
    plugin_open(&plugins[FIRST], argv[1]);
    plugin_open(&plugins[SECOND], argv[2]);
    if (plugins[FIRST].library == NULL || plugins[SECOND].library == NULL)
        return 3;
    blocks_make(&plugins[FIRST]);
    blocks_make(&plugins[SECOND]);
    blocks_drop(&plugins[FIRST]);
    dlclose(plugins[FIRST].library);
    blocks_drop(&plugins[SECOND]);
    blocks_make(&plugins[SECOND]);

    plugin_open(&plugins[INSIDE], argv[4]);
    if (plugins[INSIDE].library == NULL || plugins[INSIDE].make(SIZE_MAX / 2) != NULL)
        return 4;
    blocks_make(&plugins[INSIDE]);
    plugin_open(&plugins[CPP], argv[3]);
    if (plugins[CPP].library == NULL)
        return 5;
    blocks_make(&plugins[CPP]);
    blocks_drop(&plugins[SECOND]);
    blocks_drop(&plugins[INSIDE]);
    blocks_drop(&plugins[CPP]);
    puts("all blocks went back to where they came from");
    return 0;
}
