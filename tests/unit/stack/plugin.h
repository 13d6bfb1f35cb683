/* SPDX-License-Identifier: MIT */
#ifndef TESTS_STACK_PLUGIN_H
#define TESTS_STACK_PLUGIN_H

extern const char plugin_name[];

int plugin_call(void (*callee)(void *), void *argument);

#endif
