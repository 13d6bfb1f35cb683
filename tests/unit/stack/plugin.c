/* SPDX-License-Identifier: MIT */
/* plugin.c - two libraries are built of it that differ in nothing but their build-id and a name. */
#include "plugin.h"

const char plugin_name[] = PLUGIN_NAME;

__attribute__((noinline)) int plugin_call(void (*callee)(void *), void *argument)
{
    callee(argument);
    return plugin_name[0];
}
