/* SPDX-License-Identifier: MIT */
/* unit.h - what cmocka needs included before it, once. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
